/* SPDX-License-Identifier: ISC */
/*
 * Do workers, decimators and mcrelay-web get anywhere?  Supervisor only.
 * Reads what a worker writes: a hostile one can only have itself killed or
 * spared, and its decimator asked whether it is well.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/log.h"
#include "common/message.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/supervisor.h"
#include "supervisor/watch.h"
#include "supervisor/web.h"

/* The positions that only the relay thread moves; false: they are
 * changing too fast to be read. */
static bool
relay_mark(const struct segment *segment, uint64_t *mark)
{
	const struct worker_state *state = segment->state;
	struct output_state output;
	struct ingest_state ingest;
	uint64_t sum;
	uint32_t i;

	if (!ingest_read(&state->ingest, &ingest))
		return false;
	sum = ingest.batch;
	for (i = 0; i < segment->config->outputs && i < OUTPUTS_MAX; i++) {
		if (!output_read(&state->output[i], &output))
			return false;
		sum += output.batch;
	}
	*mark = sum;
	return true;
}

/* Whether the worker does not receive because the archive may not lose
 * anything: then it is not the relay that hangs. */
static bool
gated(const struct segment *segment, uint64_t head)
{
	struct archive_state archive;

	if (!segment->config->archive.enabled ||
	    segment->config->archive.on_overrun != OVERRUN_BLOCK)
		return false;
	/* When that cannot be told, the worker is spared. */
	return !archive_read(&segment->state->archive, &archive) ||
	    head - archive.position + RX_STRIDE_MAX > segment->ring.size;
}

/*
 * Whether there is something that the relay thread could do now.  An output
 * whose socket is full is no fault of the worker's.
 */
static bool
relay_has_work(const struct channel *channel)
{
	const struct segment *segment = &channel->segment;
	const struct parts *parts = &channel->parts;
	struct pollfd fds[INPUTS_MAX + OUTPUTS_MAX];
	uint64_t head = ring_head(&segment->ring);
	struct output_state output;
	nfds_t n = 0;
	size_t i;

	for (i = 0; i < parts->inputs && !gated(segment, head); i++)
		fds[n++] = (struct pollfd){.fd = parts->input[i].fd,
		    .events = POLLIN};
	for (i = 0; i < parts->outputs; i++) {
		if (output_read(&segment->state->output[i], &output) &&
		    output.position != head)
			fds[n++] = (struct pollfd){.fd = parts->output[i],
			    .events = POLLOUT};
	}
	if (poll(fds, n, 0) <= 0)
		return false;
	for (i = 0; i < n; i++)
		if ((fds[i].revents & fds[i].events) != 0)
			return true;
	return false;
}

static void
check_relay(struct channel *channel)
{
	struct watch *watch = &channel->watch;
	uint64_t mark = watch->relay_mark;

	if (!relay_mark(&channel->segment, &mark) ||
	    mark != watch->relay_mark || !relay_has_work(channel)) {
		watch->relay_mark = mark;
		watch->relay_checks = 0;
		return;
	}
	if (++watch->relay_checks < WATCH_CHECKS)
		return;
	log_warnx("channel %s: process %d hangs: datagrams wait, and it has "
	    "not received or sent one for %u s: it is aborted and replaced",
	    channel->name, (int)channel->child.pid, WATCH_CHECKS);
	watch->relay_checks = 0;
	child_abort(&channel->child);
}

static void
tell_archive(struct channel *channel, bool stuck)
{
	struct watch *watch = &channel->watch;

	if (watch->archive_stuck == stuck)
		return;
	watch->archive_stuck = stuck;
	if (stuck)
		log_warnx("channel %s: its archive has stored nothing for "
		    "%u s, although there is something: does its disk still "
		    "answer? The relay goes on", channel->name,
		    watch->archive_checks);
	else
		log_info("channel %s: its archive moves again",
		    channel->name);
}

static void
check_archive(struct channel *channel)
{
	const struct segment *segment = &channel->segment;
	struct watch *watch = &channel->watch;
	/* Every commit counts, also of what was given up. */
	uint64_t mark = atomic_load_explicit(
	    &segment->state->archive.generation, memory_order_relaxed);
	uint64_t limit = WATCH_CHECKS +
	    channel->conf->archive.flush_interval_ns / NS_PER_S;
	struct archive_state archive;

	if (!segment->config->archive.enabled || mark != watch->archive_mark ||
	    !archive_read(&segment->state->archive, &archive) ||
	    archive.position == ring_head(&segment->ring)) {
		watch->archive_mark = mark;
		watch->archive_checks = 0;
		tell_archive(channel, false);
	} else if (++watch->archive_checks >= limit)
		tell_archive(channel, true);
}

/*** The decimator. ***/

/* Whether there are datagrams in the ring that the decimator should take. */
static bool
streams_have_work(const struct channel *channel)
{
	struct decimated_state progress;

	/* When that cannot be told, to ask does no harm. */
	return channel->decimator_holder != NULL &&
	    (!decimated_read(&channel->segment.page->progress, &progress) ||
	    progress.position != ring_head(&channel->segment.ring));
}

/* At doubling distance, to some minutes. */
static bool
is_to_be_told_again(unsigned checks)
{
	unsigned times = checks / WATCH_CHECKS;

	return times > 0 && checks % WATCH_CHECKS == 0 &&
	    ((times & (times - 1)) == 0 || times % 32 == 0);
}

/*
 * Every step of a decimator ends with a commit.  One that answers, and takes
 * nothing all the same, had no memory for the ring, or has found garbage in it,
 * or has not got what it was told: it has said so.  That may be over.
 */
static void
check_streams(struct channel *channel)
{
	struct stream_watch *watch = &channel->stream_watch;
	uint64_t mark = atomic_load_explicit(
	    &channel->segment.page->progress.generation, memory_order_relaxed);

	if (mark != watch->mark || !streams_have_work(channel)) {
		watch->mark = mark;
		watch->checks = 0;
		return;
	}
	if (is_to_be_told_again(watch->checks))
		decimator_tell(channel);
	if (watch->checks++ % WATCH_CHECKS == 0)
		decimator_look(channel->decimator_holder);
}

/* It has left a question unanswered for one more check. */
static void
count_unanswered(struct child_watch *watch, struct child *child)
{
	if (++watch->unanswered < WATCH_CHECKS)
		return;
	log_warnx("%s: process %d hangs: it has not answered for %u s: it is "
	    "aborted and replaced", child->label, (int)child->pid,
	    WATCH_CHECKS);
	watch->unanswered = 0;
	child_abort(child);
}

void
watch_check_decimator(struct decimator *decimator)
{
	/* One of another version may not know what it is asked. */
	if (decimator->child.state != CHILD_RUNNING ||
	    decimator->old_process == decimator->child.pid ||
	    (decimator->answers == 0 && decimator->forgets == 0 &&
	    !decimator->look))
		decimator->watch.unanswered = 0;
	else
		count_unanswered(&decimator->watch, &decimator->child);
}

/*** mcrelay-web. ***/

void
watch_check_web(struct web *web)
{
	static const struct message look = {.type = MESSAGE_LOOK};
	struct pollfd waiting = {.fd = web->listening, .events = POLLIN};

	if (web->child.state != CHILD_RUNNING) {
		web->look = false;
		web->watch.unanswered = 0;
	} else if (web->look)
		count_unanswered(&web->watch, &web->child);
	else if (web->listening != -1 && poll(&waiting, 1, 0) > 0) {
		web->look = true;
		web->watch.unanswered = 0;
		child_send(&web->child, &look);
	}
}

/*** Forwarders. ***/

void
watch_check_asked(struct child_watch *watch, struct child *child, bool *look)
{
	static const struct message message = {.type = MESSAGE_LOOK};

	if (child->state != CHILD_RUNNING) {
		*look = false;
		watch->unanswered = 0;
	} else if (*look)
		count_unanswered(watch, child);
	else {
		*look = true;
		watch->unanswered = 0;
		child_send(child, &message);
	}
}

enum child_said
watch_answer(const struct message *message, bool *look)
{
	if (message->type != MESSAGE_LOOKED || !*look)
		return CHILD_SAID_NONSENSE;
	*look = false;
	return CHILD_SAID_ANSWER;
}

void
watch_check_forwarder(struct forwarder *forwarder)
{
	watch_check_asked(&forwarder->watch, &forwarder->child,
	    &forwarder->look);
}

/*** What others call. ***/

bool
watch_streams_idle(const struct channel *channel)
{
	return channel->stream_watch.checks > WATCH_CHECKS;
}

void
watch_check(struct channel *channel)
{
	if (channel->segment.base == NULL)
		return;
	if (!channel->foreign.page)
		check_streams(channel);
	if (channel->child.state != CHILD_RUNNING || channel->foreign.worker) {
		memset(&channel->watch, 0, sizeof(channel->watch));
		return;
	}
	check_archive(channel);
	check_relay(channel);
}
