"""Holds the transcoder's rows against google.protobuf.json_format (PyPI: protobuf).

Usage: json_format.py CASES

CASES is what the random rows write:
ZEROBUS_CASES_OUT=CASES tests/rows_at_length.sh 100000
"""

import base64
import collections
import json
import re
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf import duration_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.message import DecodeError

SHOWN = r'^field ".*?": '
NUMBER = r"(-?[0-9][-+.eE0-9]*)"
INTEGER = r"an? [us]?(?:int|fixed)(?:32|64)"

# Why we refuse what json_format takes: what our reason says, and what must be true of the
# value that it shows.
REFUSALS = [
    ("a field given by its name and its JSON name", r"given twice$", None),
    ("a required field that is missing or null", r"required, but (missing|null)$", None),
    ("an enum number without a name", NUMBER + r" is not a value of ", None),
    ("an enum number in a string", r'"([^"]*)" is not a value of ', lambda t: is_int(t)),
    ("a bool or a fraction for an enum", r"(true|false) is not an? value of ", None),
    ("a bool or a fraction for an enum", NUMBER + r" is not a whole number, as a value of ", None),
    ("an empty list or an empty string for a message",
     r"(?:a JSON array|a string), expected a JSON object$", None),
    ("a bool for a double or a float", r"(true|false) is not a (double|float)$", None),
    ("a fraction too small for a double to show", r'"?' + NUMBER + r'"? is not a whole number',
     lambda t: float(t).is_integer()),
    ("a number in a string that is no JSON number", r'"([^"]*)" is not ' + INTEGER + "$",
     lambda t: is_int(t) or float(t).is_integer()),
    ("a number in a string that is no JSON number", r'"([^"]*)" is not a (?:double|float)$',
     lambda t: is_float(t)),
    ("a number in a string beyond a float's range",
     r'"' + NUMBER + r'" is out of range for a (?:double|float)$', None),
    ("an integer beyond 64 bits, with a point or an exponent",
     '"?' + NUMBER + r'"? is out of range for an? \w+ \(', lambda t: abs(float(t)) in (2.0**63, 2.0**64)),
    ("base64 that is cut, or holds other characters",
     r'"(.*)" is not base64 text, as bytes must be$', None),
    ("a timestamp in a looser form", r'"(.*)" is not a timestamp', None),
    ("a duration with more than nine digits after the point, or in another form",
     r'"(.*)" is not a duration', None),
]
# Why we take what json_format refuses, by what it says.
ACCEPTANCES = [
    ("a timestamp without an offset, or as a number",
     r"Failed to parse timestamp: |Timestamp|timestamp JSON value|time data '"),
    ("a large integer with a point or an exponent",
     r"Value out of range: -?(9223372036854775808|9223372036854777856|18446744073709551616)\.+$"),
    ("the largest float in its shortest form", r"Float value too (large|small)"),
]


def is_int(text):
    try:
        int(text)
    except ValueError:
        return False
    return True


def is_float(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


class Schema:
    def __init__(self, line):
        self.line = line
        pool = descriptor_pool.DescriptorPool()
        for known in (duration_pb2, timestamp_pb2, wrappers_pb2):
            pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        files = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(line["files"]))
        for file in files.file:
            pool.Add(file)
        self.pool = pool
        self.message = pool.FindMessageTypeByName(line["message"])
        self.theirs = message_factory.GetMessageClass(self.message)
        self.ours = None

    def add_bundle(self):
        """The bundled descriptor, which must stand alone."""
        file = descriptor_pb2.FileDescriptorProto(name="bundle.proto")
        bundle = file.message_type.add()
        bundle.ParseFromString(base64.b64decode(self.line["bundle"]))
        alone = descriptor_pool.DescriptorPool()
        alone.Add(file)
        self.ours = message_factory.GetMessageClass(alone.FindMessageTypeByName(bundle.name))

    def parse(self, row):
        """The values that json_format makes of a row."""
        message = self.theirs()
        json_format.Parse(row, message, descriptor_pool=self.pool)
        return plain(message, self.message)

    def read(self, record):
        """The values of a record of ours, read by the bundled descriptor."""
        return plain(self.ours.FromString(base64.b64decode(record)), self.message)


def plain(message, declared):
    """What a message says, as the original declares it."""
    fields = {}
    for field in declared.fields:
        here = message.DESCRIPTOR.fields_by_number[field.number]
        value = getattr(message, here.name)
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            of = kind.fields_by_name["value"]
            if value:
                fields[field.number] = {key: plain_value(value[key], of) for key in value}
        elif field.is_repeated:
            if value:
                fields[field.number] = [plain_value(v, field) for v in value]
        elif not field.has_presence or message.HasField(here.name):
            fields[field.number] = plain_value(value, field)
    return fields


def plain_value(value, field):
    kind = field.message_type
    if kind is None:
        return plain_scalar(value, field)
    known = kind.full_name.removeprefix("google.protobuf.")
    if known in ("Timestamp", "Duration"):
        if isinstance(value, int):
            return value
        # Nanoseconds have the sign of the seconds.
        return value.seconds * 1_000_000 + int(value.nanos / 1_000)
    if known != kind.full_name:
        inner = kind.fields_by_name["value"]
        return plain_scalar(getattr(value, "value", value), inner)
    return plain(value, kind)


def plain_scalar(value, field):
    if isinstance(value, float):
        return ("nan",) if value != value else Float(value, field.type == field.TYPE_FLOAT)
    return value


class Float:
    """A float by its bits, so that 0.0 is not -0.0."""

    def __init__(self, value, single):
        self.value = value
        self.single = single
        to, bits = ("<f", "<i") if single else ("<d", "<q")
        self.bits = struct.unpack(bits, struct.pack(to, value))[0]

    def __eq__(self, other):
        return isinstance(other, Float) and self.bits == other.bits

    def __repr__(self):
        return repr(self.value)


def unequal(ours, theirs):
    """The scalars in which two values of one shape differ; None if their shapes differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            ours, theirs = ({by_double(k): v for k, v in d.items()} for d in (ours, theirs))
        if ours.keys() != theirs.keys():
            return None
        pairs = [(ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return None
        pairs = list(zip(ours, theirs))
    else:
        return [] if type(ours) is type(theirs) and ours == theirs else [(ours, theirs)]
    found = [unequal(*pair) for pair in pairs]
    return None if None in found else [pair for part in found for pair in part]


def by_double(key):
    """A map's key as json_format reads it where it has a point or an exponent."""
    return float(key) if isinstance(key, int) and not isinstance(key, bool) else key


def excuse_values(ours, theirs):
    if isinstance(ours, int) and isinstance(theirs, int):
        if abs(ours) > 1 << 53 and float(ours) == float(theirs):
            return "a large integer with a point or an exponent"
    if isinstance(ours, Float) and isinstance(theirs, Float):
        if ours.single and abs(ours.bits - theirs.bits) == 1:
            return "a float that a double would round first"
        if (ours.value, theirs.value) == (0.0, 0.0):
            return "the integer -0 for a double"
    return None


def excuse_refusal(reason):
    if reason == "not a JSON object, as a row must be":
        return "an empty list or an empty string for a message"
    for name, pattern, holds in REFUSALS:
        found = re.search(SHOWN + pattern, reason)
        if found and (holds is None or holds(found.group(1))):
            return name
    return None


def excuse_acceptance(error):
    return next((name for name, pattern in ACCEPTANCES if re.search(pattern, error)), None)


def compare(schema, case):
    """Who takes the row, and the reasons for which both differ; fails on any other."""
    try:
        theirs = schema.parse(case["row"])
    except json_format.ParseError as error:
        if "ok" not in case:
            return "both refuse", []
        reason = excuse_acceptance(str(error)) or unexplained(f"they refuse: {error}")
        return "only we take", [reason]
    if "ok" not in case:
        reasons = [excuse_refusal(r) or unexplained(f"we refuse: {r}") for r in case["err"]]
        return "only they take", reasons
    try:
        ours = schema.read(case["ok"])
    except DecodeError as error:
        unexplained(f"our bytes: {error}")
    pairs = unequal(ours, theirs)
    if pairs is None:
        unexplained(f"ours: {ours}\ntheirs: {theirs}")
    reasons = [excuse_values(*pair) or unexplained(f"ours, theirs: {pair}") for pair in pairs]
    return "both take", reasons


class Unexplained(Exception):
    """A difference that no reason is listed for."""


def unexplained(what):
    raise Unexplained(what)


def check_difference(schema, case, expected):
    """That json_format does with an example what the table of differences says."""
    try:
        theirs = schema.parse(case["row"])
    except json_format.ParseError as error:
        if "refused" not in expected:
            unexplained(f"{expected}: they refuse: {error}")
        return
    if "refused" in expected or theirs != schema.parse(expected["as"]):
        unexplained(f"{expected}: they take it as {theirs}")


def read_schema(line, counts):
    """None: protobuf is stricter about the schema than prost-reflect."""
    try:
        schema = Schema(line)
    except TypeError as error:
        why = re.sub(r"\([^)]*\)", "(...)", str(error)).split("descriptor pool: ")[-1]
        counts[f"schemas that protobuf refuses: {why}"] += 1
        return None
    schema.add_bundle()
    return schema


def main(path):
    counts = collections.Counter()
    reasons = collections.Counter()
    failures = []
    schema = case = None
    with open(path, encoding="utf-8") as lines:
        for text in lines:
            line = json.loads(text)
            try:
                if "files" in line:
                    counts["schemas"] += 1
                    schema = read_schema(line, counts)
                elif "difference" in line:
                    counts["examples of the table"] += 1
                    check_difference(schema, case, line)
                elif schema is not None:
                    case = line
                    counts["rows"] += 1
                    # The table's own examples have no seed.
                    if schema.line["seed"] is not None:
                        outcome, names = compare(schema, case)
                        counts[outcome] += 1
                        reasons.update(set(names))
            except Unexplained as error:
                failures.append((schema.line, case["row"], error))
    for name, count in [*counts.items(), *reasons.most_common()]:
        print(f"{count:9} {name}")
    for line, row, error in failures[:20]:
        place = f"ZEROBUS_SEED={line['seed']} {line['message']}"
        print(f"\n{place}\nrow: {row}\n{error}", file=sys.stderr)
    if failures:
        sys.exit(f"{len(failures)} rows differ for no listed reason")


if __name__ == "__main__":
    main(sys.argv[1])
