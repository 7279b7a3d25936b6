/* SPDX-License-Identifier: ISC */
/*
 * What is different between two configurations of a channel, and so what a
 * reload has to do about it.  Supervisor only.  Compares what the values do,
 * not how they are written: a schema that moved to another file unchanged is
 * the same schema.
 */
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/conf.h"

static bool
same_relay(const struct channel_conf *a, const struct channel_conf *b)
{
	return a->relays == b->relays && (a->relays == 0 ||
	    memcmp(a->relay, b->relay, a->relays * sizeof(*a->relay)) == 0);
}

/* The program also depends on the time field and the framing. */
bool
conf_same_payload(const struct channel_conf *a, const struct channel_conf *b)
{
	return a->payload == b->payload &&
	    a->sender_sequence.type == b->sender_sequence.type &&
	    a->sender_sequence.at == b->sender_sequence.at &&
	    text_same(a->schema_text, b->schema_text) &&
	    a->program_size == b->program_size && (a->program_size == 0 ||
	    memcmp(a->program, b->program, a->program_size) == 0);
}

static bool
same_stream(const struct stream_conf *a, const struct stream_conf *b)
{
	return memcmp(a, b, offsetof(struct stream_conf, plan)) == 0 &&
	    a->plan_size == b->plan_size &&
	    (a->plan_size == 0 ||
	    memcmp(a->plan, b->plan, a->plan_size) == 0) &&
	    text_same(a->schema_text, b->schema_text);
}

static bool
same_streams(const struct channel_conf *a, const struct channel_conf *b)
{
	size_t i;

	if (a->decimates != b->decimates ||
	    memcmp(&a->samples, &b->samples, sizeof(a->samples)) != 0)
		return false;
	for (i = 0; i < a->decimates; i++)
		if (!same_stream(&a->decimate[i], &b->decimate[i]))
			return false;
	return true;
}

enum conf_change
conf_compare(const struct conf *old_conf,
    const struct channel_conf *old_channel, const struct conf *new_conf,
    const struct channel_conf *new_channel)
{
	const struct channel_conf *a = old_channel, *b = new_channel;

	if (a->inputs != b->inputs || memcmp(a->listen, b->listen,
	    a->inputs * sizeof(*a->listen)) != 0)
		return CHANGE_SOCKET;
	/* What is on its way must not meet the other schema. */
	if (a->archives_stream && !conf_same_payload(a, b))
		return CHANGE_SOCKET;
	/* The workers have this in their segments. */
	if (old_conf->log_target != new_conf->log_target)
		return CHANGE_WORKER;
	if (memcmp(&a->run, &b->run, sizeof(a->run)) != 0 ||
	    memcmp(&a->uring, &b->uring, sizeof(a->uring)) != 0 ||
	    !conf_same_payload(a, b) || !same_relay(a, b) ||
	    memcmp(&a->archive, &b->archive, sizeof(a->archive)) != 0 ||
	    a->ring_size != b->ring_size ||
	    strcmp(a->worker, b->worker) != 0 ||
	    a->own_thread != b->own_thread ||
	    a->archive_threads != b->archive_threads ||
	    a->merge_window_ns != b->merge_window_ns)
		return CHANGE_WORKER;
	if (!same_streams(a, b) || a->stale_after_ns != b->stale_after_ns)
		return CHANGE_STREAMS;
	return CHANGE_NONE;
}
