// SPDX-License-Identifier: ISC
// The one EventSource of a page.  What it is to bring is in its URL, so when
// that changes it is opened anew; what the page has already it leaves out
// itself (series.js).

const KINDS = ["hello", "overview", "channel", "datums", "gap", "dropped",
    "streams"];
// There is something each second.
const SILENT_S = 5;
const DEAD_S = 12;
const RETRY_S = 2;

const seconds = () => performance.now() / 1000;

export class Link {
	#source = null;
	#url = "";
	#heard = seconds();		// the last event
	#opened = seconds();
	#offset = null;			// of the daemon's clock
	live = false;

	// handlers: {hello(data), overview(data), ..., link()}
	constructor(handlers) {
		this.handlers = handlers;
		setInterval(() => this.#look(), 500);
		// A page that was put away hears nothing meanwhile.
		addEventListener("pageshow", event => {
			if (event.persisted)
				this.#reopen();
		});
	}

	// want: {channel, streams, since}
	want({channel, streams, since}) {
		const query = new URLSearchParams({overview: "1"});

		if (channel)
			query.append("channel", channel);
		for (const stream of streams)
			query.append("stream", stream);
		if (streams.length > 0)
			query.append("since", since);
		if (this.#url !== `live?${query}`) {
			this.#url = `live?${query}`;
			this.#reopen();
		}
	}

	reopen() {
		this.#reopen();
	}

	// Of the last event, in seconds.
	get age() {
		return seconds() - this.#heard;
	}

	// The daemon's time now.
	get now() {
		return this.#offset === null ? Date.now() / 1000 :
		    seconds() + this.#offset;
	}

	#reopen() {
		this.#source?.close();
		this.#opened = seconds();
		const source = this.#source = new EventSource(this.#url);
		for (const kind of KINDS)
			source.addEventListener(kind, event => {
				if (source === this.#source)
					this.#take(kind, event);
			});
		source.addEventListener("error", () => {
			if (source === this.#source)
				this.#set(false);
		});
	}

	#take(kind, event) {
		const data = JSON.parse(event.data);

		this.#heard = seconds();
		if (data.now !== undefined)
			this.#tick(data.now);
		this.#set(true);
		this.handlers[kind]?.(data);
	}

	// An event is late, or at most in time: the earliest tells best.
	#tick(now) {
		const offset = now - seconds();

		if (this.#offset === null ||
		    Math.abs(offset - this.#offset) > 1)
			this.#offset = offset;
		else
			this.#offset = Math.max(offset, this.#offset);
	}

	#set(live) {
		if (this.live === live)
			return;
		this.live = live;
		this.handlers.link();
	}

	#look() {
		const quiet = Math.min(this.age, seconds() - this.#opened);

		if (quiet > SILENT_S)
			this.#set(false);
		// Refused, and the browser does not try again by itself; or
		// open, and nobody there.
		if (this.#source !== null && (quiet > DEAD_S ||
		    this.#source.readyState === EventSource.CLOSED &&
		    seconds() - this.#opened > RETRY_S))
			this.#reopen();
	}
}
