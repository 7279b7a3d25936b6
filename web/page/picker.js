// SPDX-License-Identifier: ISC
// The choice of fields: what streams there are, and which of their fields are
// shown.

import {el, put} from "./text.js";

const FIELDS_MAX = 16;
const STREAMS_MAX = 16;		// as mcrelay-web allows

export const keyOf = (stream, field) =>
    `${stream.channel}/${stream.stream}/${field.name}`;

function about(stream) {
	const pace = stream.interval_s !== null ?
	    `each ${stream.interval_s} s` :
	    stream.every !== null ? `1 of ${stream.every}` : "";

	return [stream.shape === "summary" ? "summary" : "", pace]
	    .filter(word => word !== "").join(", ");
}

export class Picker {
	// changed(keys): another choice.
	constructor(changed) {
		this.changed = changed;
		this.chosen = [];
		this.boxes = new Map();
		this.groups = el("div", {class: "groups"});
		this.filter = el("input", {type: "search", id: "field-filter",
		    autocomplete: "off", spellcheck: "false", size: 14,
		    oninput: () => this.#filter()});
		this.number = el("span");
		this.element = el("details", {class: "picker"},
		    el("summary", {}, "Fields ", this.number),
		    el("p", {class: "bar"}, el("label", {for: "field-filter"},
		    "Names with"), this.filter, el("button", {type: "button",
		    onclick: () => this.changed([])}, "None"),
		    el("span", {class: "note"},
		    `At most ${FIELDS_MAX} fields.`)), this.groups);
	}

	show(streams) {
		this.boxes.clear();
		this.groups.replaceChildren(...streams.map(stream =>
		    this.#group(stream)));
		if (streams.length === 0)
			this.groups.append(el("p", {class: "note"},
			    "No decimated stream with numbers."));
		this.#filter();
		this.choose(this.chosen);
	}

	#group(stream) {
		const boxes = stream.fields.map(field => {
			const key = keyOf(stream, field);
			const box = el("input", {type: "checkbox",
			    onchange: () => this.changed(box.checked ?
			    [...this.chosen, key] :
			    this.chosen.filter(each => each !== key))});
			const label = el("label", {}, box, " ", field.name,
			    el("small", {}, ` ${[field.unit, field.doc]
			    .filter(text => text).join(", ")}`));
			this.boxes.set(key, {box, label, stream});
			return label;
		});
		return el("fieldset", {}, el("legend", {},
		    `${stream.channel}/${stream.stream} `,
		    el("small", {}, about(stream))), ...boxes);
	}

	choose(keys) {
		this.chosen = keys;
		const streams = new Set(keys.map(key =>
		    this.boxes.get(key)?.stream));
		for (const [key, {box, stream}] of this.boxes) {
			box.checked = keys.includes(key);
			box.disabled = !box.checked &&
			    (keys.length >= FIELDS_MAX ||
			    streams.size >= STREAMS_MAX &&
			    !streams.has(stream));
		}
		put(this.number, `(${keys.length})`);
	}

	#filter() {
		const part = this.filter.value.trim().toLowerCase();

		for (const [key, {label}] of this.boxes)
			label.hidden = !key.toLowerCase().includes(part);
		for (const group of this.groups.querySelectorAll("fieldset"))
			group.hidden =
			    !group.querySelector("label:not([hidden])");
	}
}

// What is shown of whom nothing is said: of the first stream, summaries
// before others, the first fields; those with a unit before others.
export function defaults(streams, most = 4) {
	const first = streams.find(stream => stream.shape === "summary") ??
	    streams[0];

	if (first === undefined)
		return [];
	const fields = first.fields.filter(field => !field.instant);
	const measured = fields.filter(field => field.unit);
	return (measured.length > 0 ? measured : fields).slice(0, most)
	    .map(field => keyOf(first, field));
}
