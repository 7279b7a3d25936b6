/* SPDX-License-Identifier: ISC */
/*
 * What the sink makes of its datagrams.  mcrelay-gen.
 */
#include <stdlib.h>

#include "common/util.h"
#include "tools/gen/numbered.h"
#include "tools/gen/tally.h"

void
tally_init(struct tally *tally, bool anything, uint64_t ready_ns)
{
	*tally = (struct tally){
		.anything = anything,
		.ready_ns = ready_ns,
		.stream = xcalloc(TALLY_STREAMS_MAX,
		    sizeof(struct stream_tally)),
	};
}

void
tally_free(struct tally *tally)
{
	for (size_t i = 0; i < tally->streams; i++)
		window_free(&tally->stream[i].window);
	free(tally->stream);
	tally->stream = NULL;
}

/* The datagram's stream, a new one if need be; NULL: too many. */
static struct stream_tally *
find_stream(struct tally *tally, const struct numbered *numbered)
{
	struct stream_tally *stream;

	if (tally->last < tally->streams &&
	    tally->stream[tally->last].id == numbered->stream)
		return &tally->stream[tally->last];
	for (size_t i = 0; i < tally->streams; i++)
		if (tally->stream[i].id == numbered->stream) {
			tally->last = i;
			return &tally->stream[i];
		}
	if (tally->streams == TALLY_STREAMS_MAX)
		return NULL;
	tally->last = tally->streams++;
	stream = &tally->stream[tally->last];
	stream->id = numbered->stream;
	window_init(&stream->window,
	    numbered->started_ns >= tally->ready_ns);
	return stream;
}

bool
tally_datagram(struct tally *tally, const uint8_t *data, size_t size,
    uint64_t received_ns)
{
	struct stream_tally *stream;
	struct numbered numbered;

	tally->received++;
	tally->bytes += size;
	if (tally->anything)
		return true;
	if (!numbered_read(data, size, &numbered)) {
		tally->corrupt++;
		return true;
	}
	stream = find_stream(tally, &numbered);
	if (stream == NULL)
		return false;
	window_add(&stream->window, numbered.sequence);
	/* A clock that was set back, or another host's, must not make a
	 * latency of centuries. */
	histogram_add(&tally->latency, received_ns > numbered.sent_ns ?
	    received_ns - numbered.sent_ns : 0);
	return true;
}

struct sums {
	uint64_t	lost;
	uint64_t	doubled;
	uint64_t	reordered;
	uint64_t	stale;
};

static struct sums
sum_streams(const struct tally *tally)
{
	struct sums sums = { 0 };
	const struct window *window;

	for (size_t i = 0; i < tally->streams; i++) {
		window = &tally->stream[i].window;
		sums.lost += window_lost(window);
		sums.doubled += window->doubled;
		sums.reordered += window->reordered;
		sums.stale += window->stale;
	}
	return sums;
}

bool
tally_is_clean(const struct tally *tally)
{
	const struct sums sums = sum_streams(tally);

	return tally->received > 0 && tally->corrupt == 0 &&
	    sums.lost == 0 && sums.doubled == 0 && sums.stale == 0;
}

static json_t *
report_streams(const struct tally *tally)
{
	const struct window *window;
	json_t *list = json_array();

	for (size_t i = 0; i < tally->streams; i++) {
		window = &tally->stream[i].window;
		json_array_append_new(list, json_pack(
		    "{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		    "id", json_sprintf("%08x", tally->stream[i].id),
		    "first", (json_int_t)window->first,
		    "last", (json_int_t)(window->next - 1),
		    "distinct", (json_int_t)window->distinct,
		    "lost", (json_int_t)window_lost(window),
		    "doubled", (json_int_t)window->doubled,
		    "reordered", (json_int_t)window->reordered,
		    "stale", (json_int_t)window->stale));
	}
	return list;
}

static double
latency_us(const struct tally *tally, double fraction)
{
	return (double)histogram_percentile(&tally->latency, fraction) / 1e3;
}

void
tally_report(const struct tally *tally, json_t *report)
{
	const struct sums sums = sum_streams(tally);

	json_object_update_new(report, json_pack("{s:I, s:I}",
	    "received", (json_int_t)tally->received,
	    "bytes", (json_int_t)tally->bytes));
	if (tally->anything)
		return;
	json_object_update_new(report, json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:{s:f, s:f, s:f, s:f}, s:o}",
	    "lost", (json_int_t)sums.lost,
	    "doubled", (json_int_t)sums.doubled,
	    "reordered", (json_int_t)sums.reordered,
	    "stale", (json_int_t)sums.stale,
	    "corrupt", (json_int_t)tally->corrupt,
	    "latency_us",
	    "p50", latency_us(tally, 0.5),
	    "p99", latency_us(tally, 0.99),
	    "p99_9", latency_us(tally, 0.999),
	    "max", (double)tally->latency.max / 1e3,
	    "streams", report_streams(tally)));
}
