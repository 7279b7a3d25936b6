// SPDX-License-Identifier: ISC
// What has come of one stream: numbers in typed arrays, of which so much is
// kept as the longest window shows, or as a bound allows; and what of it a
// strip of so many pixels shows.

export const KEEP_S = 3600;
const MEMORY_MAX = 16 << 20;	// bytes, for one stream
const FIRST = 1024;
const GAPS_MAX = 4096;
// So many intervals without a datum are a gap.
const SILENT = 2.5;

export const MIN = 0, MAX = 1, MEAN = 2, RMS = 3, MIN_TIME = 4, MAX_TIME = 5;
const PARTS = 6;

// The first index in [begin, end) whose number is not below `v', or end.
export function search(numbers, v, begin, end) {
	while (begin < end) {
		const middle = (begin + end) >> 1;
		if (numbers[middle] < v)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

export class Series {
	#again = false;		// another connection: it begins with what was

	constructor(stream) {
		this.form = Series.#formOf(stream);
		this.summary = stream.shape === "summary";
		this.fields = stream.fields.length;
		this.interval = stream.interval_s;
		this.columns = this.fields * (this.summary ? PARTS : 1);
		this.bound = Math.max(Math.floor(MEMORY_MAX / 8 /
		    (this.columns + 1)), FIRST);
		this.begin = this.end = 0;	// of what is kept
		this.gaps = [];			// {from, to, missed}
		this.#make(FIRST);
	}

	#make(capacity) {
		const make = old => {
			const made = new Float64Array(capacity);
			if (old !== undefined)
				made.set(old.subarray(this.begin, this.end));
			return made;
		};
		this.time = make(this.time);
		this.column = Array.from({length: this.columns},
		    (unused, i) => make(this.column?.[i]));
		this.end -= this.begin;
		this.begin = 0;
		this.capacity = capacity;
	}

	static #formOf(stream) {
		return JSON.stringify([stream.shape, stream.interval_s,
		    stream.fields.map(field => field.name)]);
	}

	isOf(stream) {
		return this.form === Series.#formOf(stream);
	}

	// A connection begins: what it sends first may be what is here already,
	// and takes its place.
	resume() {
		this.#again = true;
	}

	get last() {
		return this.time[this.end - 1];
	}

	// datum: [time, missed, values...]
	add(datum) {
		const [time, missed] = datum;

		// Also when the clock was set back.
		while (this.end > this.begin && (this.last > time ||
		    this.#again && this.last === time))
			this.end--;
		if (this.#again)
			this.gaps = this.gaps.filter(gap => gap.to < time);
		this.#again = false;
		if (missed > 0)
			this.lost(time, missed);
		this.#room(time);
		this.time[this.end] = time;
		for (let i = 0; i < this.fields; i++)
			this.#put(i, datum[i + 2]);
		this.end++;
	}

	#put(field, value) {
		if (!this.summary) {
			this.column[field][this.end] = value ?? NaN;
			return;
		}
		const [min, minTime, max, maxTime, mean, rms] = value ?? [];
		const at = field * PARTS;
		[min, max, mean, rms, minTime, maxTime].forEach((v, part) => {
			this.column[at + part][this.end] = v ?? NaN;
		});
	}

	#room(now) {
		while (this.begin < this.end &&
		    this.time[this.begin] < now - KEEP_S)
			this.begin++;
		if (this.end < this.capacity)
			return;
		if (this.capacity >= this.bound)
			this.begin = Math.max(this.begin,
			    this.end - Math.floor(this.bound * 3 / 4));
		// Either there is room in front, or it has to grow.
		if (this.begin >= this.capacity / 4) {
			for (const numbers of [this.time, ...this.column])
				numbers.copyWithin(0, this.begin, this.end);
			this.end -= this.begin;
			this.begin = 0;
		} else {
			this.#make(Math.min(this.capacity * 2, this.bound));
		}
	}

	#gap(from, to, missed) {
		this.gaps.push({from, to, missed});
		if (this.gaps.length > GAPS_MAX)
			this.gaps.splice(0, GAPS_MAX / 4);
	}

	// Some were lost on the way here.
	lost(time, missed) {
		this.#gap(this.end > this.begin ? this.last : time, time,
		    missed);
	}

	// What is missing between two times: how many gaps, how many datums.
	missing(from, to) {
		let gaps = 0, datums = 0;

		for (const gap of this.gaps)
			if (gap.to >= from && gap.from <= to) {
				gaps++;
				datums += gap.missed;
			}
		return {gaps, datums};
	}

	// After how long a datum is late; of a stream that makes one of so many
	// datums, that depends on how fast these come.
	get patience() {
		const n = Math.min(this.end - this.begin - 1, 32);

		if (this.interval !== null)
			return this.interval * SILENT;
		if (n < 4)
			return Infinity;
		// The median of the last steps: a gap among them is no matter.
		const steps = Array.from({length: n}, (unused, i) =>
		    this.time[this.end - 1 - i] - this.time[this.end - 2 - i])
		    .sort((a, b) => a - b);
		return Math.max(steps[n >> 1], 1e-3) * 4;
	}

	part(field, part) {
		return this.column[this.summary ? field * PARTS + part : field];
	}

	// All of one field from `from' to before `to', as one: null if there is
	// nothing.
	sum(field, from, to) {
		const begin = search(this.time, from, this.begin, this.end);
		const end = search(this.time, to, begin, this.end);
		const low = this.part(field, MIN), high = this.part(field, MAX);
		const mean = this.part(field, MEAN),
		    rms = this.part(field, RMS);
		let min = Infinity, max = -Infinity, minAt = 0, maxAt = 0;
		let total = 0, squares = 0, n = 0;

		for (let i = begin; i < end; i++) {
			if (low[i] < min)
				min = low[minAt = i];
			if (high[i] > max)
				max = high[maxAt = i];
			if (mean[i] === mean[i]) {
				total += mean[i];
				squares += rms[i] * rms[i];
				n++;
			}
		}
		if (n === 0)
			return null;
		const times = this.summary ? [this.part(field, MIN_TIME)[minAt],
		    this.part(field, MAX_TIME)[maxAt]] :
		    [this.time[minAt], this.time[maxAt]];
		return {n, min, max, minTime: times[0], maxTime: times[1],
		    mean: total / n, rms: Math.sqrt(squares / n)};
	}
}

// The lines of one field from `from' to `to', in at most some points for each
// of `width' pixels: [times, minima, maxima, means], or for streams that are
// no summaries [times, values].  Null where there is a gap.
export function trace(series, field, from, to, width) {
	const {time} = series;
	// One more on either side, for the lines that lead out.
	const begin = Math.max(search(time, from, series.begin, series.end) - 1,
	    series.begin);
	const end = Math.min(search(time, to, begin, series.end) + 1,
	    series.end);
	const out = series.summary ? [[], [], [], []] : [[], []];
	const put = end - begin > 2 * width ? putBins : putAll;
	const breaks = breaksOf(series, begin, end);
	let at = begin;

	for (const next of [...breaks, end]) {
		if (next > at) {
			if (at > begin)
				putNull(out, time[at - 1], time[at]);
			put(series, field, at, next, (to - from) / width, out);
		}
		at = next;
	}
	return out;
}

// Before which indices there is a gap.
function breaksOf(series, begin, end) {
	const {time, gaps, patience} = series;
	const breaks = [];
	let gap = 0;

	while (gap < gaps.length && gaps[gap].to < time[begin])
		gap++;
	for (let i = begin + 1; i < end; i++) {
		let late = time[i] - time[i - 1] > patience;
		while (gap < gaps.length && gaps[gap].to <= time[i]) {
			late ||= gaps[gap].to > time[i - 1];
			gap++;
		}
		if (late)
			breaks.push(i);
	}
	return breaks;
}

function putNull(out, before, after) {
	out[0].push((before + after) / 2);
	for (let i = 1; i < out.length; i++)
		out[i].push(null);
}

const orNull = v => v === v ? v : null;

function putAll(series, field, begin, end, step, out) {
	const low = series.part(field, MIN), high = series.part(field, MAX);
	const mean = series.part(field, MEAN);

	for (let i = begin; i < end; i++) {
		out[0].push(series.time[i]);
		out[1].push(orNull(low[i]));
		if (!series.summary)
			continue;
		out[2].push(orNull(high[i]));
		out[3].push(orNull(mean[i]));
	}
}

// Bins begin at multiples of their width, not at the window's begin: so what
// is in one does not change while it moves along.
function putBins(series, field, begin, end, step, out) {
	const {time} = series;

	for (let i = begin; i < end;) {
		const after = (Math.floor(time[i] / step) + 1) * step;
		let next = i + 1;
		while (next < end && time[next] < after)
			next++;
		(series.summary ? putBin : putPair)(series, field, i, next,
		    out);
		i = next;
	}
}

function extremes(low, high, begin, end) {
	let least = -1, most = -1;

	for (let i = begin; i < end; i++) {
		if (low[i] === low[i] && (least === -1 || low[i] < low[least]))
			least = i;
		if (high[i] === high[i] &&
		    (most === -1 || high[i] > high[most]))
			most = i;
	}
	return [least, most];
}

function putBin(series, field, begin, end, out) {
	const low = series.part(field, MIN), high = series.part(field, MAX);
	const mean = series.part(field, MEAN);
	const [least, most] = extremes(low, high, begin, end);
	let total = 0, n = 0;

	for (let i = begin; i < end; i++)
		if (mean[i] === mean[i]) {
			total += mean[i];
			n++;
		}
	out[0].push(series.time[end - 1]);
	out[1].push(least === -1 ? null : low[least]);
	out[2].push(most === -1 ? null : high[most]);
	out[3].push(n === 0 ? null : total / n);
}

// Minimum and maximum in their order: the line looks as if all were drawn.
function putPair(series, field, begin, end, out) {
	const numbers = series.part(field, 0);
	const pair = extremes(numbers, numbers, begin, end);
	const [first, second] = pair[0] <= pair[1] ? pair : [pair[1], pair[0]];

	if (first === -1) {
		out[0].push(series.time[begin]);
		out[1].push(null);
		return;
	}
	for (const i of first === second ? [first] : [first, second]) {
		out[0].push(series.time[i]);
		out[1].push(numbers[i]);
	}
}
