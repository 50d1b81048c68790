"""The official Python SDK against `zerobus emulator`, one module for each promise; see ../sdk.py."""
