// SPDX-License-Identifier: ISC
// One channel: state and reasons, its ledger, its charts, its parts.

import {Ledger} from "./ledger.js";
import {stateMark} from "./overview.js";
import {Meter, bytes, count, duration, el, list, mark, put, rate, time}
    from "./text.js";

function fill(used, of, most) {
	return of > 0 ? `${bytes(used)} of ${bytes(of)}` + (most === undefined ?
	    "" : `, at most ${bytes(most)}`) : "";
}

function endOf({address, port}) {
	return address.includes(":") ? `[${address}]:${port}` :
	    `${address}:${port}`;
}

function retention(storage) {
	const words = [];

	if (storage.retain_age_ms > 0)
		words.push(duration(storage.retain_age_ms / 1000));
	if (storage.retain_bytes > 0)
		words.push(bytes(storage.retain_bytes));
	if (storage.retain_files > 0)
		words.push(`${count(storage.retain_files)} files`);
	return words.length === 0 ? "without limit" : words.join(", ");
}

// Where hosts take turns.
function turn(lease) {
	if (lease.role === "active")
		return "this host's, and " + (lease.standbys === 1 ?
		    "1 other would" : `${count(lease.standbys ?? 0)} others ` +
		    "would");
	return (lease.holder ? `host ${lease.holder}'s` : "no host's") +
	    `, as was told ${count(Math.round(lease.seen_ms / 1000))} s ago`;
}

// [title, text] of what there is to say.
function facts(channel, now) {
	const {ring, socket, storage, ledger, deaths} = channel;
	const bad = deaths.exited + deaths.signalled + deaths.hung;
	const rows = [
		["Worker", channel.pid === 0 ? "none" :
		    `process ${channel.pid}, ` +
		    `up ${duration(channel.uptime_s)}`],
		["Restarts", count(channel.restarts) + (channel.away_ms > 0 ?
		    `, the last took ${count(channel.away_ms)} ms` : "")],
		["Last end", channel.last_exit ?? ""],
		["Ended badly", bad === 0 ? "" : `${deaths.exited} exited, ` +
		    `${deaths.signalled} by a signal, ${deaths.hung} hung`],
		["Last datagram", channel.last_datagram_ns === 0 ? "never" :
		    time(channel.last_datagram_ns / 1e9, now)],
		["Highest rate", channel.peak_rate > 0 ?
		    `${count(channel.peak_rate)} datagrams/s` : ""],
		["Can be without a worker", channel.outage_budget_ms > 0 ?
		    duration(channel.outage_budget_ms / 1000) : ""],
		["Receive buffer", socket ? fill(socket.queued_bytes,
		    socket.buffer_bytes, ledger.socket_high_water_bytes) : ""],
		["Ring", ring ? fill(ring.used_bytes, ring.size_bytes,
		    ledger.ring_high_water_bytes) : ""],
		["Received", bytes(ledger.received_bytes)],
		["Whose turn", channel.lease ? turn(channel.lease) : ""],
		["Sandbox", channel.sandbox ? channel.sandbox.state +
		    (channel.sandbox.missing.length > 0 ? ", without " +
		    channel.sandbox.missing.join(", ") : "") : ""],
	];

	if (channel.archive)
		rows.push(["Archived", bytes(ledger.archived_bytes) +
		    (ledger.archive_errors > 0 ?
		    `, ${count(ledger.archive_errors)}` +
		    " failed operations" : "")]);
	if (storage)
		rows.push(["Files are kept", retention(storage)],
		    ["Disk", storage.free_bytes === undefined ? "" :
		    `${bytes(storage.free_bytes)} free` +
		    (storage.min_free_bytes > 0 ? `, at least ` +
		    `${bytes(storage.min_free_bytes)}` : "")],
		    ["Oldest that may go", storage.oldest_ns > 0 ?
		    time(storage.oldest_ns / 1e9, now) : ""]);
	return rows.filter(([, text]) => text !== "");
}

// A table whose rows are made of cells: [title, class, function(item)].
class Table {
	constructor(title, id, columns) {
		this.columns = columns;
		this.body = el("tbody");
		this.element = el("section", {"aria-labelledby": id},
		    el("h2", {id}, title), el("div", {class: "scroll"},
		    el("table", {"aria-labelledby": id}, el("thead", {},
		    el("tr", {}, ...columns.map(([name, type]) =>
		    el("th", {scope: "col", class: type}, name)))),
		    this.body)));
	}

	update(items, key) {
		this.element.hidden = items.length === 0;
		list(this.body, items, key, () => this.#row());
	}

	#row() {
		const cells = this.columns.map(([, type], i) => i === 0 ?
		    el("th", {scope: "row"}) : el("td", {class: type}));
		const row = el("tr", {}, ...cells);

		row.update = item => this.columns.forEach((column, i) => {
			const [, type, text] = column;
			const is = text(item);
			put(cells[i], typeof is === "number" ? count(is) : is);
			mark(cells[i], "bad", type.includes("loss") && is > 0);
		});
		return row;
	}
}

const STREAM_COLUMNS = [
	["Stream", "", stream => stream.name],
	["To", "", stream => stream.place],
	["Sent", "number", stream => stream.out ?? ""],
	["/s", "number", stream => rate(stream.rate)],
	["Errors", "number loss", stream => stream.errors ?? ""],
	["Missed", "number loss", stream => stream.missed ?? ""],
	["Skipped", "number loss", stream => stream.skipped ?? ""],
	["Not archived", "number loss", stream => stream.unarchived ?? ""],
];

const OUTPUT_COLUMNS = [
	["Output", "", output => output.place],
	["Interface", "", output => output.interface ?? "by route"],
	["Relayed", "number", output => output.relayed],
	["/s", "number", output => rate(output.rate)],
	["Errors", "number loss", output => output.relay_errors],
];

const INPUT_COLUMNS = [
	["Input", "", input => input.place],
	["Interface", "", input => input.lost ? "lost" : input.joined ??
	    input.interface ?? "any"],
	["Received", "number", input => input.received],
	["Merged", "number", input => input.merged],
	["Only here", "number", input => input.sole],
	["Dropped", "number loss", input => input.kernel_dropped],
	["Refused", "number loss", input => input.refused_source],
];

const FILE_COLUMNS = [
	["File", "name", file => file.name],
	["Records", "number", file => file.records],
	["Size", "number", file => bytes(file.bytes)],
];

export class ChannelView {
	#meters = new Map();

	constructor(name, charts) {
		this.name = name;
		this.charts = charts;
		this.state = stateMark();
		this.reasons = el("ul", {class: "reasons"});
		this.ledger = new Ledger();
		this.inputs = new Table("Inputs", "inputs", INPUT_COLUMNS);
		this.outputs = new Table("Outputs", "outputs", OUTPUT_COLUMNS);
		this.streams = new Table("Decimated streams", "streams",
		    STREAM_COLUMNS);
		this.files = new Table("Files being written", "files",
		    FILE_COLUMNS);
		this.facts = el("dl", {class: "facts"});
		this.body = el("div", {hidden: true}, this.reasons,
		    this.ledger.element, charts.element,
		    el("div", {class: "columns"}, this.inputs.element,
		    this.outputs.element,
		    this.streams.element, this.files.element,
		    el("section", {"aria-labelledby": "facts", class: "whole"},
		    el("h2", {id: "facts"}, "Process, memory, disk"),
		    this.facts)));
		this.missing = el("p", {class: "note"},
		    "Waiting for news of it.");
		this.element = el("article", {"aria-labelledby": "title"},
		    el("div", {class: "bar"},
		    el("h1", {id: "title"}, name), this.state),
		    this.missing, this.body);
	}

	#rate(key, n, now) {
		const meter = this.#meters.get(key) ?? new Meter();

		this.#meters.set(key, meter);
		meter.add(now, n);
		return meter.rate;
	}

	update() {}

	take(channel, now) {
		if (channel.name !== this.name)
			return;
		this.body.hidden = channel.gone === true;
		this.missing.hidden = channel.gone !== true;
		if (channel.gone) {
			put(this.missing, "There is no channel of that name.");
			this.state.update("gone");
			return;
		}
		this.state.update(channel.state);
		list(this.reasons, channel.reasons, ({what}) => what, () => {
			const since = el("time");
			const what = el("code");
			const detail = el("span");
			const row = el("li", {}, what, " ", detail, " ", since);
			row.update = reason => {
				put(what, reason.what);
				put(detail, reason.detail);
				put(since, "since " +
				    time(Date.parse(reason.since) / 1000, now));
				since.dateTime = reason.since;
			};
			return row;
		});
		this.ledger.update(channel, now);
		this.#parts(channel, now);
	}

	#parts(channel, now) {
		const inputs = channel.inputs ?? [];

		// The only one's numbers are the ledger's.
		this.inputs.update(inputs.length < 2 ? [] :
		    inputs.map((input, i) => ({...input, i,
			place: endOf(input)})), input => input.i);
		this.outputs.update(channel.outputs.map((output, i) => ({
			...output, i, place: endOf(output),
			rate: this.#rate(`output ${i}`, output.relayed, now),
		})), output => output.i);
		this.streams.update(Object.entries(channel.decimate).map(
		    ([name, stream]) => ({
			...stream, name, place: endOf(stream),
			rate: this.#rate(`stream ${name}`, stream.out ?? 0,
			    now),
		})), stream => stream.name);
		this.files.update(channel.files ?? [], file => file.name);
		list(this.facts, facts(channel, now), ([title]) => title,
		    ([title]) => {
			const text = el("dd");
			const row = el("div", {}, el("dt", {}, title), text);
			row.update = fact => put(text, fact[1]);
			return row;
		});
	}

	end() {
		this.charts.end();
	}
}
