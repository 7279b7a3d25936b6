/* SPDX-License-Identifier: ISC */
/*
 * The source: datagrams at a rate.  mcrelay-gen.
 *
 * Datagram k is due at start + k / rate.  These deadlines are absolute: a
 * late wake-up is made good by sending what is due at once, and the rate
 * does not drift.
 */
#include <sys/random.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/common/batch.h"
#include "tools/common/endpoint.h"
#include "tools/gen/gen.h"
#include "tools/common/histogram.h"
#include "tools/common/output.h"
#include "tools/common/stop.h"
#include "tools/gen/numbered.h"
#include "tools/gen/synth.h"

/*
 * Without -B, a wake-up is for the datagrams of 100 us: it costs about as
 * much as sending ten, and a receiver's buffer does not notice such a burst.
 */
#define WAKEUPS_PER_S	10000
#define BATCH_DEFAULT	64

struct source {
	const struct gen_options *options;
	int			 fd;
	unsigned		 batch_size;
	struct batch		*batch;
	struct synth		*synth;		/* NULL: numbered */
	struct numbered		 numbered;	/* of the next datagram */
	uint64_t		 start_ns;	/* CLOCK_MONOTONIC */
	uint64_t		 end_ns;	/* the same; 0: never */
	struct send_counts	 counts;
	struct histogram	 lateness;	/* of batches */
};

static unsigned
batch_size(const struct gen_options *options)
{
	const uint64_t by_rate = options->rate / WAKEUPS_PER_S;

	if (options->batch != 0)
		return options->batch;
	if (options->coalesce) {
		/* one full message, so that it arrives coalesced */
		if (options->schema != NULL)
			return BATCH_DEFAULT;
		return (unsigned)MIN_OF(DATAGRAM_MAX / options->bytes,
		    (size_t)BATCH_DEFAULT);
	}
	if (options->rate == 0)
		return BATCH_DEFAULT;
	return (unsigned)MIN_OF(MAX_OF(by_rate, UINT64_C(1)),
	    (uint64_t)BATCH_DEFAULT);
}

/* Waits for the next batch to be due; how many datagrams it has. */
static unsigned
wait_for_batch(struct source *source)
{
	const struct gen_options *options = source->options;
	const uint64_t sent = source->counts.datagrams;
	uint64_t want = source->batch_size;
	uint64_t due, now;

	if (options->count != 0)
		want = MIN_OF(want, options->count - sent);
	if (options->rate == 0)
		return (unsigned)want;
	due = source->start_ns + (uint64_t)((unsigned __int128)
	    (sent + want - 1) * NS_PER_S / options->rate);
	if (source->end_ns != 0 && due >= source->end_ns) {
		stop_sleep_until(source->end_ns);
		return 0;
	}
	now = stop_sleep_until(due);
	if (now < due)
		return 0;
	histogram_add(&source->lateness, now - due);
	return (unsigned)want;
}

static void
fill_numbered(struct source *source, unsigned want)
{
	const size_t bytes = source->options->bytes;

	source->numbered.sent_ns = clock_realtime_ns();
	while (want-- > 0 && batch_has_room(source->batch)) {
		numbered_write(batch_next(source->batch), bytes,
		    &source->numbered);
		batch_add(source->batch, bytes);
		source->numbered.sequence++;
	}
}

static bool
fill_datums(struct source *source, unsigned want)
{
	uint8_t *data;
	size_t used, size;

	while (want-- > 0 && batch_has_room(source->batch)) {
		data = batch_next(source->batch);
		used = 0;
		for (unsigned i = 0; i < source->options->datums; i++) {
			if (!synth_datum(source->synth, data + used,
			    DATAGRAM_MAX - used, &size))
				return false;
			used += size;
		}
		batch_add(source->batch, used);
	}
	return true;
}

static bool
finished(const struct source *source)
{
	const struct gen_options *options = source->options;

	return stop_requested() || (options->count != 0 &&
	    source->counts.datagrams >= options->count) ||
	    (source->end_ns != 0 && clock_monotonic_ns() >= source->end_ns);
}

static bool
send_batches(struct source *source)
{
	unsigned want;

	while (!finished(source)) {
		want = wait_for_batch(source);
		if (want == 0)
			continue;
		if (source->synth == NULL)
			fill_numbered(source, want);
		else if (!fill_datums(source, want))
			return false;
		if (!batch_send(source->batch, source->end_ns,
		    &source->counts))
			return false;
	}
	return true;
}

static json_t *
make_report(const struct source *source, uint64_t elapsed_ns)
{
	json_t *report = output_sent(&source->counts, elapsed_ns);

	if (source->lateness.count != 0)
		json_object_set_new(report, "lateness_us",
		    output_percentiles(&source->lateness));
	if (source->synth != NULL)
		json_object_set_new(report, "datums", json_integer(
		    (json_int_t)(source->counts.datagrams *
		    source->options->datums)));
	else
		json_object_set_new(report, "stream",
		    json_sprintf("%08x", source->numbered.stream));
	return report;
}

static bool
prepare(struct source *source)
{
	const struct gen_options *options = source->options;

	if (options->schema != NULL) {
		source->synth = synth_open(options->schema, options->wave,
		    options->waves);
		if (source->synth == NULL)
			return false;
	}
	source->fd = endpoint_open_source(&options->endpoint);
	if (source->fd == -1)
		return false;
	source->batch = batch_new(source->fd, options->coalesce ?
	    BATCH_COALESCE : BATCH_SINGLE);
	source->batch_size = batch_size(options);
	if (getrandom(&source->numbered.stream,
	    sizeof(source->numbered.stream), 0) == -1) {
		log_warn("getrandom");
		return false;
	}
	stop_sleep_exactly();
	return true;
}

static bool
run(struct source *source)
{
	source->numbered.started_ns = clock_realtime_ns();
	source->start_ns = clock_monotonic_ns();
	if (source->options->time_ns != 0)
		source->end_ns = source->start_ns + source->options->time_ns;
	return send_batches(source);
}

enum gen_status
source_run(const struct gen_options *options, json_t **report)
{
	struct source *source = xcalloc(1, sizeof(*source));
	enum gen_status status = GEN_FAILED;

	source->options = options;
	source->fd = -1;
	if (prepare(source)) {
		if (run(source))
			status = GEN_GOOD;
		*report = make_report(source,
		    clock_monotonic_ns() - source->start_ns);
	}
	if (source->batch != NULL)
		batch_free(source->batch);
	if (source->fd != -1)
		close(source->fd);
	synth_close(source->synth);
	free(source);
	return status;
}
