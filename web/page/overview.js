// SPDX-License-Identifier: ISC
// All channels in a table, those in trouble first.

import {Meter, change, count, duration, el, list, mark, put, rate, time}
    from "./text.js";

// The worse first; of states that are not known here, nothing is known.
const WORST = ["failed", "backoff", "waiting", "degraded", "stale",
    "starting", "stopped", "paused", "running"];
const LOSS_S = 60;
const WELL = new Set(["running"]);

const SORTS = {
	trouble: (a, b) => a.rank - b.rank || a.place - b.place,
	name: (a, b) => a.name < b.name ? -1 : 1,
	rate: (a, b) => (b.in.rate ?? 0) - (a.in.rate ?? 0) ||
	    a.place - b.place,
	lost: (a, b) => b.loss.change - a.loss.change || b.lost - a.lost ||
	    a.place - b.place,
	restarts: (a, b) => b.restarts - a.restarts || a.place - b.place,
	datagram: (a, b) => (a.datagram ?? 0) - (b.datagram ?? 0) ||
	    a.place - b.place,
};

function rankOf(channel) {
	const rank = WORST.indexOf(channel.state);

	// A channel that runs and loses something comes before those that
	// just run.
	return rank === -1 ? 0 : WELL.has(channel.state) &&
	    channel.loss.change !== 0 ? rank - 0.5 : rank;
}

// What is known of the channels, whether it is shown or not: rates and losses
// need some time.
export class Channels {
	#byName = new Map();
	all = [];
	now = null;

	take({now, channels}) {
		const byName = new Map();

		this.now = now;
		this.all = channels.map((row, place) => {
			const [name, state, reasons, received, lost, restarts,
			    datagram, since, pid] = row;
			const channel = this.#byName.get(name) ??
			    {name, in: new Meter(), loss: new Meter(LOSS_S)};
			Object.assign(channel, {state, reasons, received, lost,
			    restarts, datagram, since, pid, place});
			channel.in.add(now, received);
			channel.loss.add(now, lost);
			channel.rank = rankOf(channel);
			byName.set(name, channel);
			return channel;
		});
		this.#byName = byName;
	}
}

export function stateMark() {
	const word = el("span", {class: "state"});

	word.update = state => {
		put(word, state);
		word.dataset.state = state;
	};
	return word;
}

function makeRow(channel) {
	const state = stateMark();
	const why = el("span", {class: "why"});
	const cell = name => el("td", {class: `number ${name}`});
	const cells = {rate: cell("rate"), received: cell("received wide"),
	    recent: cell("recent"), lost: cell("lost wide"),
	    restarts: cell("restarts"), datagram: cell("datagram wide"),
	    since: cell("since wide")};
	const row = el("tr", {}, el("th", {scope: "row"}, el("a",
	    {href: `#/channel/${encodeURIComponent(channel.name)}`},
	    channel.name)), el("td", {class: "condition"}, state, " ", why),
	    ...Object.values(cells));

	row.dataset.name = channel.name;
	row.update = c => {
		const now = row.channels.now;
		state.update(c.state);
		put(why, c.reasons.join(", "));
		put(cells.rate, rate(c.in.rate));
		put(cells.received, count(c.received));
		put(cells.recent, change(c.loss.change) || "0");
		put(cells.lost, count(c.lost));
		mark(cells.lost, "bad", c.loss.change > 0);
		mark(cells.recent, "bad", c.loss.change > 0);
		put(cells.restarts, count(c.restarts));
		put(cells.datagram, c.datagram === null ? "never" :
		    duration(now - c.datagram));
		put(cells.since, c.since === null ? "" : time(c.since, now));
	};
	return row;
}

const COLUMNS = [
	["name", "Channel", "", "name"],
	["", "State, and why", "", ""],
	["rate", "In", "/s", "number rate"],
	["", "Received", "", "number received wide"],
	["lost", "Lost", "in 1 min", "number recent"],
	["", "Lost", "in all", "number lost wide"],
	["restarts", "Restarts", "", "number restarts"],
	["datagram", "Last datagram", "ago", "number datagram wide"],
	["", "Trouble", "since", "number since wide"],
];

// The others are sorted downwards.
const UP = new Set(["name", "datagram"]);
const EXPLAIN = {
	trouble: "Trouble first: failed, backoff, waiting, degraded, stale, " +
	    "starting, stopped, running with losses in the last minute, " +
	    "running; of the same kind in the order of the configuration.",
	name: "In the order of names.",
	rate: "The highest rate first.",
	lost: "The most losses in the last minute first, then in all.",
	restarts: "The most restarts first.",
	datagram: "The longest without a datagram first.",
};

export class Overview {
	#sort = "trouble";

	constructor(channels) {
		this.channels = channels;
		this.counts = el("p", {class: "counts", role: "status"});
		this.explained = el("span", {id: "order"});
		this.back = el("button", {type: "button",
		    onclick: () => this.sort("trouble")}, "Trouble first");
		this.filter = el("input", {type: "search", id: "filter",
		    oninput: () => this.update(), autocomplete: "off",
		    spellcheck: "false", size: 14});
		this.body = el("tbody");
		this.heads = {};
		this.element = el("section", {"aria-labelledby": "title"},
		    el("div", {class: "bar"},
		    el("h1", {id: "title"}, "Channels"), this.counts,
		    el("span", {class: "pair"}, el("label", {for: "filter"},
		    "Names with "), this.filter)),
		    el("div", {class: "scroll"}, el("table",
		    {class: "channels", "aria-describedby": "order"},
		    el("thead", {}, this.#head()), this.body)),
		    el("p", {class: "note"}, this.explained, " ", this.back),
		    el("p", {class: "note"}, "All numbers count datagrams; " +
		    "rates are means over 5 s. Lost: dropped by the kernel, " +
		    "refused, too large, rejected, shed, or not relayed; the " +
		    "channel's own page tells where."));
		this.sort("trouble");
	}

	#head() {
		return el("tr", {}, ...COLUMNS.map(column => {
			const [key, title, unit, name] = column;
			const words = [title, ...unit === "" ? [] :
			    [" ", el("small", {}, unit)]];
			if (key === "")
				return el("th", {scope: "col", class: name},
				    ...words);
			this.heads[key] = el("th", {scope: "col", class: name},
			    el("button", {type: "button",
			    onclick: () => this.sort(key)}, ...words));
			return this.heads[key];
		}));
	}

	sort(key) {
		this.#sort = key;
		for (const [name, head] of Object.entries(this.heads)) {
			if (name === key)
				head.setAttribute("aria-sort", UP.has(name) ?
				    "ascending" : "descending");
			else
				head.removeAttribute("aria-sort");
		}
		put(this.explained, EXPLAIN[key]);
		this.back.hidden = key === "trouble";
		this.update();
	}

	#count() {
		const by = new Map();

		for (const {state} of this.channels.all)
			by.set(state, (by.get(state) ?? 0) + 1);
		const words = [...by].sort(([a], [b]) =>
		    WORST.indexOf(a) - WORST.indexOf(b)).map(([state, n]) =>
		    `${count(n)} ${state}`);
		put(this.counts, this.channels.now === null ? "" :
		    words.join(", ") || "none");
	}

	update() {
		const part = this.filter.value.trim().toLowerCase();
		const shown = this.channels.all.filter(channel =>
		    channel.name.toLowerCase().includes(part))
		    .sort(SORTS[this.#sort]);

		this.#count();
		list(this.body, shown, channel => channel.name, channel => {
			const row = makeRow(channel);
			row.channels = this.channels;
			return row;
		});
	}

	end() {}
}
