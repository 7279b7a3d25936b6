// SPDX-License-Identifier: ISC
// Strips under one another on one time axis: what of it is shown, pause,
// zoom, and the cursor, which is at one time in all of them.

import {Picker, defaults, keyOf} from "./picker.js";
import {Series} from "./series.js";
import {Strip} from "./strip.js";
import {count, duration, el, fineTime, put, zone} from "./text.js";

const WINDOWS = [10, 30, 60, 300, 900, 3600];
const HEIGHT_MIN = 84, HEIGHT_MAX = 220, HEIGHT_ALL = 640;
const ZOOM_MIN_S = 0.01;
// What moves along is drawn no more often than this: nobody sees more, and
// painting is what costs.
const DRAW_MS = 30;
// Numbers that change faster cannot be read.
const TELL_MS = 250;
const HELP = [
	"Drag over a stretch to zoom in; a double click, or Back, leads " +
	    "back. The address has the choice of fields, and can be shared.",
	"With the keyboard: Tab to a strip; \u2190 and \u2192 move the " +
	    "cursor, with Shift further; + and \u2212 zoom, Space pauses, " +
	    "Escape leads back.",
	"A summary is a band from its minimum to its maximum with the mean " +
	    "in it, drawn at the end of its window; at the cursor, the " +
	    "extremes have their own times, which small triangles mark.",
	"A red stretch: datums are missing, and counted. An empty one: none " +
	    "came.",
];

function button(text, onclick, name = text) {
	return el("button", {type: "button", onclick, "aria-label": name},
	    text);
}

export class Charts {
	#keys = null;		// null: nobody has chosen
	#strips = new Map();
	#series;		// "channel/stream": Series; the page's
	#streams = [];		// that may be shown
	#paused = null;		// what was shown when it was paused: [from, to]
	#zooms = [];		// what is shown instead, the last one
	#cursor = null;		// a part of the width
	#dirty = true;
	#edge = null;
	#drawn = 0;		// when it was drawn last
	#told = 0;		// when the values were written last
	#frame = 0;
	frames = 0;		// how often it was drawn: for bench/page

	// page: {link, series, changed()}; channel: only its streams, or null.
	constructor(page, channel, {keys, span}) {
		this.page = page;
		this.#series = page.series;
		this.channel = channel;
		this.#keys = keys;
		this.span = WINDOWS.includes(span) ? span : 60;
		this.since = this.span;		// the longest that was wanted
		this.picker = new Picker(keys => this.choose(keys));
		this.#make();
		this.resizer = new ResizeObserver(() => this.#resize());
		this.resizer.observe(this.strips);
		this.seen = new IntersectionObserver(entries => {
			for (const {target, isIntersecting} of entries)
				target.strip.visible = isIntersecting;
			this.#dirty = true;
		}, {rootMargin: "100px"});
		this.scheme = matchMedia("(prefers-color-scheme: dark)");
		this.relayout = () => this.layout();
		this.scheme.addEventListener("change", this.relayout);
		if (this.able)
			this.#frame = requestAnimationFrame(() => this.#tick());
	}

	// Whether there is something to draw with.
	get able() {
		return typeof uPlot !== "undefined";
	}

	#make() {
		this.window = el("select", {id: "window", onchange: () =>
		    this.setSpan(Number(this.window.value))},
		    ...WINDOWS.map(s => el("option", {value: s,
		    selected: s === this.span}, duration(s))));
		this.pause = button("Pause", () => this.togglePause());
		this.pause.id = "pause";
		this.out = button("Back", () => this.back());
		this.out.id = "back";
		this.when = el("output", {class: "when"});
		this.dropped = el("span", {class: "bad", id: "dropped"});
		this.strips = el("div", {class: "strips"});
		this.note = el("p", {class: "note"});
		const help = el("details", {class: "help"},
		    el("summary", {}, "Help"),
		    ...HELP.map(text => el("p", {}, text)));
		const tools = el("div", {class: "bar tools"},
		    el("h2", {id: "charts"}, "Charts"),
		    el("label", {for: "window"}, "Window"), this.window,
		    this.pause,
		    button("+", () => this.#scale(0.5), "Zoom in"),
		    button("\u2212", () => this.#scale(2), "Zoom out"),
		    this.out, this.when, this.dropped);
		this.element = el("section", {class: "charts",
		    "aria-labelledby": "charts"}, tools, this.picker.element,
		    this.note, this.strips, help);
		if (!this.able) {
			put(this.note,
			    "No charts: this mcrelay was installed " +
			    "without uPlot, which draws them.");
			this.element.classList.add("none");
		}
		this.#look();
	}

	// What there is to choose from: the answer of /streams.
	setStreams(streams) {
		this.#streams = this.channel === null ? streams :
		    streams.filter(stream => stream.channel === this.channel);
		this.picker.show(this.#streams);
		this.#build();
	}

	// What is to be asked for.
	get wanted() {
		return [...new Set([...this.#strips.values()].map(({stream}) =>
		    `${stream.channel}/${stream.stream}`))];
	}

	get keys() {
		return this.#keys;
	}

	choose(keys) {
		this.#keys = keys;
		this.#build();
		this.page.changed();
	}

	#find() {
		const byKey = new Map();

		for (const stream of this.#streams)
			stream.fields.forEach((field, i) => {
				byKey.set(keyOf(stream, field), [stream, i]);
			});
		return byKey;
	}

	#build() {
		const byKey = this.#find();
		const keys = (this.#keys ?? defaults(this.#streams))
		    .filter(key => byKey.has(key)).slice(0, 16);
		const had = this.#strips;

		if (!this.able)
			return;
		this.#strips = new Map();
		for (const key of keys) {
			const [stream, field] = byKey.get(key);
			this.#strips.set(key, this.#strip(key, stream, field));
		}
		for (const strip of had.values())
			this.#drop(strip);
		this.picker.choose(keys);
		this.element.classList.toggle("none",
		    this.#streams.length === 0);
		put(this.note, this.#streams.length === 0 ? "There is no " +
		    "decimated stream that has numbers." : keys.length === 0 ?
		    "No field is chosen." : "");
		this.strips.replaceChildren(...[...this.#strips.values()]
		    .map(strip => strip.element));
		this.layout();
	}

	#strip(key, stream, field) {
		const name = `${stream.channel}/${stream.stream}`;

		if (!this.#series.get(name)?.isOf(stream))
			this.#series.set(name, new Series(stream));
		const remove = () => this.choose([...this.#strips.keys()]
		    .filter(each => each !== key));
		const strip = new Strip(stream, field, this.#series.get(name),
		    this, remove);
		strip.element.strip = strip;
		this.seen.observe(strip.element);
		return strip;
	}

	#drop(strip) {
		this.seen.unobserve(strip.element);
		strip.end();
	}

	#size() {
		const n = this.#strips.size;

		return [this.strips.clientWidth, Math.round(Math.min(Math.max(
		    HEIGHT_ALL / n, HEIGHT_MIN), HEIGHT_MAX))];
	}

	// The colours, or the time zone, or the strips have changed.
	layout() {
		const [width, height] = this.#size();
		const all = [...this.#strips.values()];

		if (!this.able || width < 1)
			return;
		this.width = width;
		all.forEach((strip, i) =>
		    strip.layout(width, height, i === all.length - 1));
		this.#dirty = true;
	}

	#resize() {
		const [width, height] = this.#size();

		if (width === this.width || width < 1)
			return;
		if (this.width === undefined) {
			this.layout();
			return;
		}
		this.width = width;
		for (const strip of this.#strips.values())
			strip.resize(width, height);
		this.#dirty = true;
	}

	came() {
		// Who looks at what was, sees nothing of it.
		if (this.#live || this.page.link.now < this.shown[1] + 1)
			this.#dirty = true;
	}

	setSpan(span) {
		this.span = span;
		this.since = Math.max(this.since, span);
		this.#paused = null;
		this.#zooms = [];
		this.#look();
		this.page.changed();
	}

	// What is shown: [from, to].
	get shown() {
		return this.#zooms[this.#zooms.length - 1] ?? this.#paused ??
		    [this.#edge - this.span, this.#edge];
	}

	// Whether it goes on with what comes.
	get #live() {
		return this.#zooms.length === 0 && this.#paused === null;
	}

	zoom(from, to) {
		const [was, end] = this.shown;

		// All strips say so of a stretch that is marked in one.
		if (to - from < ZOOM_MIN_S || Math.abs(from - was) +
		    Math.abs(to - end) < ZOOM_MIN_S / 10)
			return;
		this.#zooms.push([from, to]);
		this.#look();
	}

	#scale(factor) {
		const [from, to] = this.shown;
		const at = this.#cursor === null ? (from + to) / 2 :
		    from + (to - from) * this.#cursor;

		this.zoom(at - (at - from) * factor, at + (to - at) * factor);
	}

	// One zoom less.
	back() {
		this.#zooms.pop();
		this.#look();
	}

	togglePause() {
		this.#paused = this.#live ? this.shown : null;
		this.#zooms = [];
		this.#look();
	}

	#look() {
		const paused = !this.#live;

		const word = paused ? "Resume" : "Pause";

		this.pause.setAttribute("aria-label", word);
		put(this.pause, word);
		this.out.disabled = this.#zooms.length === 0;
		this.element.classList.toggle("paused", paused);
		this.#dirty = true;
	}

	// The pointer is there in one of the strips, or nowhere.
	point(left, width) {
		this.#cursor = left >= 0 && width > 0 ?
		    Math.min(left / width, 1) : null;
		this.#told = 0;
	}

	key(event, strip) {
		const [from, to] = this.shown;
		const step = (event.shiftKey ? 50 : 1) / strip.width;
		const move = part => {
			const at = Math.min(Math.max(part, 0), 1);
			strip.moveCursor(at * strip.width);
		};
		const keys = {
			"ArrowLeft": () => move((this.#cursor ?? 1) - step),
			"ArrowRight": () => move((this.#cursor ?? 1) + step),
			"Home": () => move(0),
			"End": () => move(1),
			"+": () => this.#scale(0.5),
			"-": () => this.#scale(2),
			" ": () => this.togglePause(),
			"Escape": () => {
				strip.moveCursor(-10);
				this.back();
			},
		};

		if (event.ctrlKey || event.altKey || event.metaKey ||
		    !(event.key in keys) || !(to > from))
			return;
		event.preventDefault();
		keys[event.key]();
	}

	#tick() {
		const now = this.page.link.now;
		// In steps of a pixel: what is between them looks the same.
		const step = this.span / (this.width || 1000);
		const edge = Math.ceil(now / step) * step;

		this.#frame = requestAnimationFrame(() => this.#tick());
		if (this.#live && edge !== this.#edge) {
			this.#edge = edge;
			this.#dirty = true;
		}
		if (this.#dirty && (!this.#live ||
		    performance.now() - this.#drawn >= DRAW_MS))
			this.#draw();
		if (performance.now() - this.#told > TELL_MS)
			this.#tell();
	}

	#draw() {
		const [from, to] = this.shown;

		this.#dirty = false;
		this.#drawn = performance.now();
		this.frames++;
		for (const strip of this.#strips.values())
			strip.draw(from, to);
	}

	#tell() {
		const [from, to] = this.shown;
		const time = this.#cursor === null ? null :
		    from + (to - from) * this.#cursor;

		this.#told = performance.now();
		put(this.when,
		    `${fineTime(time ?? to, to - from > 100 ? 1 : 3)} ` +
		    `${zone()}${time === null ? "" : ", cursor"}` +
		    (this.#live ? "" : `, ${duration(to - from)} shown`));
		for (const strip of this.#strips.values())
			if (strip.visible)
				strip.tell(time, from, to);
	}

	tellDropped(events) {
		put(this.dropped, events === 0 ? "" :
		    `${count(events)} events ` +
		    "left out: this browser was too slow");
	}

	end() {
		cancelAnimationFrame(this.#frame);
		this.resizer.disconnect();
		this.seen.disconnect();
		this.scheme.removeEventListener("change", this.relayout);
		for (const strip of this.#strips.values())
			strip.end();
	}
}

