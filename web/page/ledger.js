// SPDX-License-Identifier: ISC
// A channel's ledger as a flow: where each datagram went, and whether that
// adds up, as mcrelayctl(8) says.

import {Meter, count, el, list, mark, put, rate} from "./text.js";

const WORDS = {
	received: "received",
	kernel_dropped: "dropped by the kernel",
	truncated: "larger than a slot",
	refused_source: "of a source not allowed",
	merged: "brought by another input before",
	merge_waiting: "waiting for those before",
	sequence_gaps: "missing in the sender's numbers",
	sequence_repeats: "seen twice",
	sequence_reordered: "out of order",
	archived: "archived",
	rejected: "rejected, kept apart",
	archive_shed: "shed",
	archive_paused: "came while it was paused",
	pending: "in the ring still",
	relayed: "relayed",
	relay_errors: "not sent",
	relay_paused: "came while it was paused",
	relay_standby: "another host's to relay",
	relay_overrun: "a whole ring behind",
	relay_no_buffers: "the interface's queue full",
	relay_unreachable: "no way there",
	relay_too_large: "too large",
	relay_other: "other reasons",
	under_way: "not sent yet",
	in: "taken",
	missed: "overwritten before",
	skipped: "left out, decimators ended at it",
	standby: "another host's to send",
	not_taken: "not taken yet",
};
const CAUSES = ["relay_overrun", "relay_no_buffers", "relay_unreachable",
    "relay_too_large", "relay_other"];
// Levels: how they change says nothing.
const LEVELS = new Set(["pending", "under_way", "not_taken",
    "merge_waiting"]);
// What is not well as soon as there is any.
const LOSSES = new Set(["kernel_dropped", "truncated", "refused_source",
    "rejected", "archive_shed", "relay_errors", "missed", "skipped",
    "sequence_gaps", ...CAUSES]);

function share(n, of) {
	const percent = 100 * n / of;

	if (!(of > 0) || n < 0)
		return "";
	if (n === 0)
		return "0 %";
	if (percent < 0.01)
		return "< 0.01 %";
	// Never a whole hundred as long as one is missing.
	return (n < of ? Math.min(percent, 99.99) : 100)
	    .toFixed(n < of ? 2 : 0) + " %";
}

function makeLine(line) {
	const n = el("td", {class: "number"});
	const each = el("td", {class: "number rate"});
	const part = el("td", {class: "number share"});
	const row = el("tr", {class: line.sub ? "sub" : ""},
	    el("th", {scope: "row"}, WORDS[line.name] ?? line.name, " ",
	    WORDS[line.name] && line.name in WORDS && !line.own ?
	    el("code", {}, line.name) : ""), n, each, part);

	row.dataset.counter = line.name;
	row.update = ({name, n: now, rate: perS, of, loss}) => {
		put(n, count(now));
		put(each, LEVELS.has(name) ? "" : rate(perS));
		put(part, share(now, of));
		mark(row, "bad", now !== 0 && (loss ?? LOSSES.has(name)));
	};
	return row;
}

// One station of the flow: lines, and their sum beside what it should be.
class Station {
	constructor(title, id) {
		this.title = el("h3", {id}, title);
		this.into = el("p", {class: "into"});
		this.body = el("tbody");
		this.sum = el("td", {class: "number"});
		this.sumWords = el("th", {scope: "row"});
		this.verdict = el("td", {class: "verdict", colspan: 2});
		this.foot = el("tfoot", {}, el("tr", {}, this.sumWords,
		    this.sum, this.verdict));
		this.table = el("table", {"aria-labelledby": id},
		    el("thead", {},
		    el("tr", {}, el("th", {scope: "col"}, "Datagrams"),
		    el("th", {scope: "col", class: "number"}, "In all"),
		    el("th", {scope: "col", class: "number rate"}, "/s"),
		    el("th", {scope: "col", class: "number share"}, "Share"))),
		    this.body, this.foot);
		this.element = el("section", {class: "station"}, this.title,
		    this.into, this.table);
	}

	// lines: {name, n, rate, sub}; those that are part of another (`sub'),
	// or count something else (`beside'), are not added.
	update(into, lines, words, due, settled = true) {
		const sum = lines.filter(line => !line.sub && !line.beside)
		    .reduce((all, line) => all + line.n, 0);

		put(this.into, into);
		this.table.hidden = lines.length === 0;
		list(this.body, lines.map(line => ({...line, of: line.beside ?
		    0 : sum})), line => line.name, makeLine);
		put(this.sumWords, words);
		put(this.sum, count(sum));
		if (due === null) {
			put(this.verdict, "");
			return;
		}
		put(this.verdict, sum !== due ? `should be ${count(due)}` :
		    settled ? "adds up" : "");
		mark(this.verdict, "bad", sum !== due);
		mark(this.verdict, "good", sum === due && settled);
	}
}

function place({listen, inputs}) {
	if (inputs !== undefined && inputs.length > 1)
		return `${inputs.length} inputs`;
	if (listen === undefined)
		return "from the decimator, on this host";
	const host = listen.address.includes(":") ? `[${listen.address}]` :
	    listen.address;
	return `${host}:${listen.port}` + (listen.joined ?
	    `, joined on ${listen.joined}` : "");
}

export class Ledger {
	#meters = new Map();

	constructor() {
		this.input = new Station("Input", "flow-input");
		this.archive = new Station("Archive", "flow-archive");
		this.relay = new Station("Relay", "flow-relay");
		this.streams = el("div", {class: "stations"});
		this.note = el("p", {class: "note"});
		this.element = el("section", {"aria-labelledby": "flow"},
		    el("h2", {id: "flow"}, "Where each datagram went"),
		    el("div", {class: "flow"}, this.input.element,
		    el("div", {class: "branches"}, this.archive.element,
		    this.relay.element, this.streams)), this.note);
	}

	// Only lines that always stand there, or have something to say.
	#lines(counts, names, now, {always = [], more = {}} = {}) {
		const shown = names.filter(name => counts[name] !== undefined &&
		    (counts[name] !== 0 || always.includes(name)));

		return shown.map(name => ({
			name, n: counts[name], ...more[name],
			rate: this.#rate(`${more.prefix ?? ""}${name}`,
			    counts[name], now),
		}));
	}

	#rate(key, n, now) {
		const meter = this.#meters.get(key) ?? new Meter();

		this.#meters.set(key, meter);
		meter.add(now, n);
		return meter.rate;
	}

	#sub(counts, names, now, prefix) {
		return this.#lines(counts, names, now, {more: {prefix}})
		    .map(line => ({...line, sub: true, loss: true}));
	}

	#input(channel, now) {
		const ledger = channel.ledger;
		const beside = ["sequence_gaps", "sequence_repeats",
		    "sequence_reordered"];

		this.input.update(place(channel), [
			...this.#lines(ledger, ["received", "kernel_dropped",
			    "truncated", "refused_source", "merged",
			    "merge_waiting"], now,
			    {always: ["received", "kernel_dropped"]}),
			...this.#lines(ledger, beside, now)
			    .map(line => ({...line, beside: true})),
		], "came to the socket", null);
	}

	#archive(channel, now) {
		const ledger = channel.ledger;

		if (!channel.archive) {
			this.archive.update("none in the configuration", [], "",
			    null);
			return;
		}
		const names = ["archived", "rejected", "archive_shed",
		    "pending"];
		const lines = this.#lines(ledger, [...names.slice(0, 3),
		    "archive_paused", "pending"], now, {always: names});
		lines.splice(2, 0, ...this.#sub(channel.rejected_by,
		    Object.keys(channel.rejected_by), now, "by "));
		this.archive.update(`of ${count(ledger.received)} received`,
		    lines, "in all", ledger.received);
	}

	#relay(channel, now) {
		const ledger = channel.ledger;
		const n = channel.outputs.length;
		const due = ledger.received * n;
		const counts = {...ledger, under_way: due - ledger.relayed -
		    ledger.relay_errors - (ledger.relay_paused ?? 0) -
		    (ledger.relay_standby ?? 0)};

		if (n === 0) {
			this.relay.update("no outputs in the configuration", [],
			    "", null);
			return;
		}
		const lines = this.#lines(counts, ["relayed", "relay_errors",
		    "relay_paused", "relay_standby", "under_way"], now, {
		    always: ["relayed", "relay_errors", "under_way"],
		    more: {under_way: {own: true,
		    loss: counts.under_way < 0}}});
		lines.splice(2, 0, ...this.#sub(ledger, CAUSES, now, ""));
		this.relay.update(`of ${count(ledger.received)} received, to ` +
		    `each of ${n} output${n === 1 ? "" : "s"}`, lines, "in all",
		    due, counts.under_way === 0);
	}

	#stream([name, stream], channel, now) {
		const received = channel.ledger.received;
		const taken = stream.in + stream.missed + stream.skipped;
		const counts = {...stream, not_taken: received - taken};
		const lines = this.#lines(counts, ["in", "missed", "skipped",
		    "not_taken"], now, {always: ["in", "missed", "not_taken"],
		    more: {prefix: `${name} `,
		    not_taken: {own: true, loss: false}}});

		return {name, lines, received, settled: received === taken};
	}

	update(channel, now) {
		this.#input(channel, now);
		this.#archive(channel, now);
		this.#relay(channel, now);
		list(this.streams, Object.entries(channel.decimate)
		    .filter(([, stream]) => stream.in !== undefined)
		    .map(each => this.#stream(each, channel, now)),
		    stream => stream.name, stream => {
			const station = new Station(`Stream ${stream.name}`,
			    `flow-${stream.name}`);
			station.element.update = now => station.update(
			    `of ${count(now.received)} received`, now.lines,
			    "in all", now.received, now.settled);
			return station.element;
		});
		put(this.note, channel.counters_current ? "" : "The counters " +
		    "are earlier ones: they change too fast to be read.");
	}
}
