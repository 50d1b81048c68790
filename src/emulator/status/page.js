// Asks for /status.json about once a second and shows what it says. What clients have sent
// only ever becomes text of a node.
"use strict";

const POLL_MS = 1000;
const CHART_WIDTH = 1200;
const CHART_HEIGHT = 160;

const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const number = (value) => (value === null || value === undefined ? "–" : count.format(value));

function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

// Written only where it differs, so that a selection survives.
function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes a table's body show these rows, each a list of [text, class]; a row's first cell is
// its header.
function fill(body, rows, nothing) {
  const columns = body.closest("table").querySelectorAll("thead th").length;
  const lines = rows.length ? rows : [[[nothing, "none"]]];
  lines.forEach((cells, i) => {
    let row = body.rows[i];
    if (!row || row.cells.length !== cells.length) {
      const fresh = document.createElement("tr");
      cells.forEach((_, n) => fresh.append(document.createElement(rows.length && n === 0 ? "th" : "td")));
      if (rows.length) fresh.cells[0].scope = "row";
      else fresh.cells[0].colSpan = columns;
      if (row) row.replaceWith(fresh);
      else body.append(fresh);
      row = fresh;
    }
    cells.forEach(([text, kind], n) => {
      show(row.cells[n], text);
      row.cells[n].className = kind ?? "";
    });
  });
  while (body.rows.length > lines.length) body.lastElementChild.remove();
}

function chart(samples) {
  const highest = Math.max(...samples);
  // The next round number above: 1, 2 or 5 times a power of ten.
  const power = 10 ** Math.floor(Math.log10(Math.max(highest, 1)));
  const top = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= highest);
  const x = (i) => ((i * CHART_WIDTH) / (samples.length - 1)).toFixed(1);
  const y = (value) => (CHART_HEIGHT - (value / top) * (CHART_HEIGHT - 2) - 1).toFixed(1);
  const points = samples.map((value, i) => `${x(i)} ${y(value)}`).join("L");
  byId("line").setAttribute("d", `M${points}`);
  byId("area").setAttribute("d", `M0 ${CHART_HEIGHT}L${points}L${CHART_WIDTH} ${CHART_HEIGHT}Z`);
  show(byId("top"), `${short.format(top)}/s`);
  show(byId("chart-title"), `at most ${number(highest)} rows in a second, ${number(samples.at(-1))} in the last one`);
}

function tableRow(table) {
  if (table.problem) return [[table.name], ["–", "n"], ["–", "n"], ["–", "n"], ["–", "n"], [table.problem, "wide"]];
  return [
    [table.name],
    [number(table.rows), "n"],
    [number(table.version), "n"],
    [number(table.files), "n"],
    [bytes(table.bytes), "n"],
    [table.open ? "open" : "not opened yet", table.open ? "" : "none"],
  ];
}

const unacked = (stream) => stream.records_received - stream.records_acked;

function streamRow(stream) {
  return [
    [stream.table],
    [stream.client || "–"],
    [duration(stream.age_s), "n"],
    [number(stream.records_per_s), "n"],
    [number(stream.records_received), "n"],
    [number(unacked(stream)), "n"],
    [number(stream.last_received), "n"],
    [number(stream.last_acked), "n"],
  ];
}

function refusalRow(refusal) {
  return [
    [new Date(refusal.at_ms).toLocaleTimeString()],
    [refusal.table || "–"],
    [refusal.client || "–"],
    [refusal.code],
    [refusal.reason, "wide"],
  ];
}

function render(status) {
  const { server, tables, streams } = status;
  show(byId("version"), server.version);
  show(byId("directory"), server.directory);
  const up = Math.max(0, Math.floor((status.now_ms - server.started_ms) / 1000));
  show(byId("since"), `up ${duration(up)}, since ${new Date(server.started_ms).toLocaleString()}`);
  if (byId("modes").childElementCount !== server.modes.length) {
    byId("modes").replaceChildren(...server.modes.map((mode) => {
      const chip = document.createElement("span");
      chip.textContent = mode;
      return chip;
    }));
  }
  show(byId("rate"), number(status.received_by_second.at(-1)));
  show(byId("stored"), number(tables.shown.reduce((sum, table) => sum + (table.rows ?? 0), 0)));
  show(byId("live"), number(status.streams_live));
  show(byId("waiting"), number(streams.reduce((sum, stream) => sum + unacked(stream), 0)));
  chart(status.received_by_second);
  const rows = tables.shown.map(tableRow);
  if (tables.more) rows.push([["and more"], ["", "n"], ["", "n"], ["", "n"], ["", "n"], [""]]);
  fill(byId("tables"), rows, "no tables yet");
  const hidden = status.streams_live - streams.length;
  const live = streams.map(streamRow);
  if (hidden > 0) live.push([[`and ${number(hidden)} more`], [""], [""], [""], [""], [""], [""], [""]]);
  fill(byId("streams"), live, `none; ${number(status.streams_created)} since the start`);
  fill(byId("refusals"), status.refusals.map(refusalRow), "none");
}

function contact(text, kind) {
  show(byId("contact"), text);
  byId("contact").className = kind;
}

async function poll() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    render(await answer.json());
    contact("live", "good");
  } catch (error) {
    contact("no answer; what is shown is old", "bad");
  }
  setTimeout(poll, POLL_MS);
}

poll();
