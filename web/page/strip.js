// SPDX-License-Identifier: ISC
// One strip: one field of one stream over time, drawn by uPlot.  Summaries
// are a band from minimum to maximum with the mean in it.

import {search, trace} from "./series.js";
import {count, el, fineTime, put, settings, value} from "./text.js";

const AXIS_PX = 62;
export const TIME_AXIS_PX = 22;

function colours() {
	const style = getComputedStyle(document.documentElement);
	const of = name => style.getPropertyValue(name).trim();

	return {text: of("--muted"), grid: of("--grid"), line: of("--trace"),
	    band: of("--band"), edge: of("--band-edge"), gap: of("--gap"),
	    gapEdge: of("--bad")};
}

// So many decimals as the distance of the ticks asks for.
function ticks(u, splits, axis, space, step) {
	const most = Math.max(...splits.map(Math.abs));

	if (most >= 1e7 || most < 1e-4 && most > 0)
		return splits.map(v => v.toExponential(Math.min(Math.max(
		    Math.ceil(Math.log10(most / step)), 0), 6))
		    .replace("-", "\u2212"));
	const digits = Math.min(Math.max(-Math.floor(Math.log10(step) + 1e-9),
	    0), 9);
	return splits.map(v => v.toFixed(digits).replace("-", "\u2212"));
}

function timeTicks(u, splits, axis, space, step) {
	const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;

	return splits.map(s => digits > 0 ? fineTime(s + 1e-6, digits) :
	    step >= 60 ? fineTime(s, 0).slice(0, 5) :
	    fineTime(s, 0).slice(0, 8));
}

function noTicks(u, splits) {
	return splits.map(() => "");
}

// Wide enough for all that is shown, and calm: it only gets narrower when
// most of it is empty.
function widen(had, low, high) {
	if (low === null || high === null)
		return had ?? [0, 1];
	const span = high - low || Math.abs(high) * 1e-3 || 1;
	if (had !== null && low >= had[0] && high <= had[1] &&
	    span > (had[1] - had[0]) * 0.4)
		return had;
	return [low - span * 0.08, high + span * 0.08];
}

export class Strip {
	#u = null;
	#range = null;
	#last = false;
	#shown = null;		// of the trace: from, to

	// charts: what they have in common, see charts.js.
	constructor(stream, field, series, charts, remove) {
		this.stream = stream;
		this.field = field;
		this.series = series;
		this.charts = charts;
		this.visible = true;
		const about = stream.fields[field];
		const unit = about.unit ? ` ${about.unit}` : "";
		this.unit = unit;
		this.title = `${stream.channel}/${stream.stream} ${about.name}`;
		this.readout = el("p", {class: "readout"});
		this.missing = el("span", {class: "missing"});
		this.canvas = el("div", {class: "canvas", tabindex: 0,
		    role: "slider", "aria-label": `Cursor in ${this.title}`,
		    "aria-valuemin": 0, "aria-valuemax": 100,
		    "aria-valuenow": 100, "aria-valuetext": "newest",
		    onkeydown: event => charts.key(event, this)});
		this.peaks = [el("i", {class: "peak high", hidden: true}),
		    el("i", {class: "peak low", hidden: true})];
		this.element = el("section", {class: "strip", "aria-label":
		    this.title}, el("div", {class: "head"},
		    el("h3", {}, el("span", {class: "of"},
		    `${stream.channel}/${stream.stream} `), about.name,
		    el("span", {class: "unit"}, unit)),
		    el("span", {class: "doc", title: about.doc ?? ""},
		    about.doc ?? ""), this.missing, this.readout,
		    el("button", {type: "button", class: "remove",
		    "aria-label": `Remove ${this.title}`, onclick: remove},
		    "\u00d7")), this.canvas);
	}

	// Its place, its size, the colours or the time zone have changed.
	layout(width, height, last) {
		this.#u?.destroy();
		this.#last = last;
		this.#u = new uPlot(this.#options(width, height +
		    (last ? TIME_AXIS_PX : 0)), this.series.summary ?
		    [[], [], [], []] : [[], []], this.canvas);
		this.#u.over.append(...this.peaks);
		this.canvas.querySelector("canvas")
		    .setAttribute("aria-hidden", "true");
	}

	resize(width, height) {
		this.#u.setSize({width, height: height +
		    (this.#last ? TIME_AXIS_PX : 0)});
	}

	#options(width, height) {
		const is = colours();
		const line = (stroke, wide) => ({stroke, width: wide,
		    points: {show: false}});
		const axis = {stroke: is.text,
		    font: "11px system-ui, sans-serif",
		    grid: {stroke: is.grid, width: 1}, ticks: {show: false}};

		return {
			width, height, padding: [4, 8, this.#last ? 0 : 2, 0],
			legend: {show: false},
			tzDate: s => settings.utc ?
			    uPlot.tzDate(new Date(s * 1000), "UTC") :
			    new Date(s * 1000),
			scales: {x: {auto: false}, y: {range: (u, low, high) =>
			    this.#range = widen(this.#range, low, high)}},
			axes: [
				{...axis, size: this.#last ? TIME_AXIS_PX : 0,
				    gap: 4, space: 70,
				    values: this.#last ? timeTicks : noTicks},
				{...axis, size: AXIS_PX, gap: 4, space: 24,
				    values: ticks},
			],
			series: this.series.summary ? [{}, line(is.edge, 1),
			    line(is.edge, 1), line(is.line, 1)] :
			    [{}, {...line(is.line, 1), points: {}}],
			bands: this.series.summary ?
			    [{series: [2, 1], fill: is.band}] : [],
			cursor: this.#cursor(),
			hooks: {
				drawClear: [u => this.#drawGaps(u, is)],
				setCursor: [u =>
				    this.charts.point(u.cursor.left,
				    u.bbox.width / devicePixelRatio)],
				setSelect: [u => this.#select(u)],
			},
		};
	}

	#cursor() {
		return {
			y: false, points: {show: false},
			drag: {x: true, y: false, setScale: false},
			sync: {key: "mcrelay", setSeries: false,
			    scales: ["x", null]},
			bind: {dblclick: () => () => this.charts.back()},
		};
	}

	#select(u) {
		const {left, width} = u.select;

		if (width < 4)
			return;
		this.charts.zoom(u.posToVal(left, "x"),
		    u.posToVal(left + width, "x"));
		u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
	}

	// A place where datums are missing is coloured, beside being empty.
	#drawGaps(u, is) {
		const {ctx} = u;
		const {left, top, width, height} = u.bbox;

		if (this.#shown === null)
			return;
		for (const gap of this.series.gaps) {
			if (gap.to < this.#shown.from ||
			    gap.from > this.#shown.to)
				continue;
			const begin = Math.max(u.valToPos(gap.from, "x", true),
			    left);
			const end = Math.min(u.valToPos(gap.to, "x", true),
			    left + width);
			const wide = Math.max(end - begin,
			    2 * devicePixelRatio);
			ctx.fillStyle = is.gap;
			ctx.fillRect(begin, top, wide, height);
			ctx.fillStyle = is.gapEdge;
			ctx.fillRect(begin, top, wide, 2 * devicePixelRatio);
		}
	}

	// What is drawn on, in pixels.
	get width() {
		return this.#u.bbox.width / devicePixelRatio;
	}

	draw(from, to) {
		if (this.#u === null || !this.visible)
			return;
		this.#shown = {from, to};
		this.#u.batch(() => {
			this.#u.setData(trace(this.series, this.field, from, to,
			    this.width), false);
			this.#u.setScale("x", {min: from, max: to});
		});
	}

	moveCursor(left) {
		this.#u.setCursor({left, top: 1}, true, true);
	}

	// What is at a time, or the newest: null if there is nothing.
	#at(time, step) {
		const {series, field} = this;
		const {begin, end} = series;

		if (end === begin)
			return null;
		if (time === null)
			return series.sum(field, series.last, Infinity);
		const within = series.sum(field, time - step, time + step);
		if (within !== null)
			return within;
		let i = search(series.time, time, begin, end);
		if (i === end || i > begin &&
		    time - series.time[i - 1] < series.time[i] - time)
			i--;
		return Math.abs(series.time[i] - time) >
		    Math.max(Math.min(series.patience, 5), step) ? null :
		    series.sum(field, series.time[i], series.time[i] + 1e-6);
	}

	// The values at the cursor; from, to: what is shown.
	tell(time, from, to) {
		if (this.#u === null)
			return;
		const step = (to - from) / this.width / 2;
		const is = this.#at(time, step);
		const {gaps, datums} = this.series.missing(from, to);

		put(this.missing, gaps === 0 ? "" :
		    `${count(datums)} missing in ` +
		    `${count(gaps)} gap${gaps === 1 ? "" : "s"}`);
		this.#say(is !== null ? this.#words(is) : [["", time === null ?
		    "nothing yet" : "nothing here"]]);
		this.#place(time === null ? null : is);
		this.canvas.setAttribute("aria-valuenow", time === null ? 100 :
		    Math.round((time - from) / (to - from) * 100));
		this.canvas.setAttribute("aria-valuetext", (time === null ?
		    "newest" : fineTime(time)) + ": " +
		    this.readout.textContent);
	}

	// Numbers are put into what is there: they change all the time.
	#say(words) {
		const form = words.map(([name, , at]) =>
		    name + (at ? " at" : "")).join();

		if (this.readout.dataset.form !== form) {
			this.readout.dataset.form = form;
			this.items = words.map(([name, , at]) => ({
				number: el("b"), at: el("small", {class: "at"}),
				name, has: Boolean(at),
			}));
			this.readout.replaceChildren(...this.items.map(item =>
			    el("span", {class: "item"}, item.name &&
			    el("small", {}, item.name), " ", item.number,
			    item.has ? el("small", {}, " at ") : "", item.at)));
		}
		words.forEach(([, number, at], i) => {
			put(this.items[i].number, number);
			put(this.items[i].at, at ?? "");
		});
	}

	#words(is) {
		if (!this.series.summary && is.n === 1)
			return [["", value(is.mean) + this.unit]];
		// A channel whose time has no known unit does not tell when.
		const at = time => Number.isFinite(time) ? fineTime(time) : "";
		const min = ["min", value(is.min), at(is.minTime)];
		const max = ["max", value(is.max) + this.unit, at(is.maxTime)];
		return this.series.summary ? [min, ["mean", value(is.mean)],
		    ["rms", value(is.rms)], max] : [min, max];
	}

	// Marks where the extremes at the cursor are, at their true times.
	#place(is) {
		const {scales: {x}} = this.#u;
		const at = is === null || !this.series.summary ? [] :
		    [[is.maxTime, is.max], [is.minTime, is.min]];

		this.peaks.forEach((peak, i) => {
			const [time, number] = at[i] ?? [];
			peak.hidden = !(time >= x.min && time <= x.max);
			if (peak.hidden)
				return;
			const left = this.#u.valToPos(time, "x");
			const top = this.#u.valToPos(number, "y");
			peak.style.transform = `translate(${left}px, ${top}px)`;
		});
	}

	end() {
		this.#u?.destroy();
	}
}

