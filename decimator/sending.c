/* SPDX-License-Identifier: ISC */
/*
 * Sending, and knowing after a kill what was sent.  Decimator.  Must not
 * believe a page that another has left: what it says of a stream is at worst
 * wrong.
 */
#include <sys/mman.h>
#include <errno.h>
#include <string.h>

#include "common/messages.h"
#include "common/util.h"
#include "decimator/sending.h"

/* One word that names slot and number of a sending. */
#define FLIGHT(slot, batch)	((batch) * STREAMS_MAX + (slot))
#define FLIGHT_SLOT(word)	((uint32_t)((word) % STREAMS_MAX))

#define MESSAGE_PAGE		4096U

_Static_assert(offsetof(struct decimator_page, sent_length) == 0,
    "right behind the private page");

static uint64_t
generation(const struct decimator_page *page)
{
	return atomic_load_explicit(&page->progress.generation,
	    memory_order_relaxed);
}

static bool
latest_counts(const struct decimator_page *page, uint32_t slot, uint64_t id,
    struct stream_counts *counts)
{
	return sent_latest_counts(
	    &decimated_current(&page->progress)->stream[slot],
	    generation(page), sent_current(&page->sent[slot]), id, counts);
}

static void
set_counts(struct sent_state *state, uint64_t of,
    const struct stream_counts *counts)
{
	state->of = of;
	state->batch++;
	state->out = counts->out;
	state->errors = counts->errors;
	state->unarchived = counts->unarchived;
	state->standby = counts->standby;
}

void
sending_settle(struct sending *sending, uint32_t slot,
    const struct sent_plan *plan, const struct stream_counts *counts)
{
	struct decimator_page *page = sending->page;
	struct sent_state *state = sent_begin(&page->sent[slot]);

	set_counts(state, generation(page), counts);
	state->id = plan->id;
	state->mark = plan->mark;
	state->due = plan->due;
	state->halfway = plan->to == SENT_TO_ARCHIVE;
	sent_commit(&page->sent[slot]);
}

void
sending_count(struct sending *sending, uint32_t slot, uint64_t id,
    const struct stream_counts *counts)
{
	struct decimator_page *page = sending->page;
	struct sent_state *state = sent_begin(&page->sent[slot]);

	/* What an earlier share left open is counted in that. */
	if (state->id != id || state->of != generation(page))
		state->due = state->halfway = 0;
	if (state->id != id)
		state->mark = (struct sent_mark){0, 0};
	state->id = id;
	set_counts(state, generation(page), counts);
	sent_commit(&page->sent[slot]);
}

/* A predecessor was killed between a system call and settling it. */
static void
recover(struct sending *sending)
{
	struct decimator_page *page = sending->page;
	/* Partner: the release in sending_try(). */
	uint64_t word = atomic_load_explicit(&page->in_flight,
	    memory_order_acquire);
	uint32_t slot = FLIGHT_SLOT(word);
	struct sent_plan plan = page->plan;
	struct stream_counts counts;

	if (word != FLIGHT(slot, sent_current(&page->sent[slot])->batch + 1) ||
	    atomic_load_explicit(&page->sent_length, memory_order_relaxed) ==
	    TX_SENTINEL)
		return;
	memset(&counts, 0, sizeof(counts));
	(void)latest_counts(page, slot, plan.id, &counts);
	counts.out += plan.to == SENT_AWAY;
	sending_settle(sending, slot, &plan, &counts);
}

bool
sending_open(struct sending *sending, const struct segment *segment, int fd)
{
	off_t at = (off_t)((const uint8_t *)segment->page - segment->base);
	size_t size = MESSAGE_PAGE + DECIMATOR_AREA;

	sending->base = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sending->base == MAP_FAILED) {
		sending->base = NULL;
		return false;
	}
	if (mmap(sending->base + MESSAGE_PAGE, DECIMATOR_AREA,
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, at) ==
	    MAP_FAILED) {
		sending_close(sending);
		return false;
	}
	sending->page = (void *)(sending->base + MESSAGE_PAGE);
	sending->state = segment->state;
	sending->message = (void *)(sending->base + MESSAGE_PAGE -
	    offsetof(struct mmsghdr, msg_len));
	recover(sending);
	return true;
}

void
sending_close(struct sending *sending)
{
	if (sending->base != NULL)
		munmap(sending->base, MESSAGE_PAGE + DECIMATOR_AREA);
	memset(sending, 0, sizeof(*sending));
}

bool
sending_try(struct sending *sending, uint32_t slot,
    const struct sent_plan *plan, int socket, const uint8_t *data, size_t size)
{
	struct decimator_page *page = sending->page;

	sending->iov.iov_base = (void *)(uintptr_t)data;
	sending->iov.iov_len = size;
	sending->message->msg_hdr.msg_iov = &sending->iov;
	sending->message->msg_hdr.msg_iovlen = 1;
	page->plan = *plan;
	atomic_store_explicit(&page->sent_length, TX_SENTINEL,
	    memory_order_relaxed);
	/* Partner: the acquire in recover() of a successor. */
	atomic_store_explicit(&page->in_flight, FLIGHT(slot,
	    sent_current(&page->sent[slot])->batch + 1), memory_order_release);
	return messages_send(socket, sending->message, 1) == 1;
}

bool
sending_recall(const struct sending *sending, uint32_t slot, uint64_t id,
    bool archived, struct stream_counts *counts, struct sent_mark *mark)
{
	const struct decimator_page *page = sending->page;
	const struct sent_state *sent = sent_current(&page->sent[slot]);

	if (!latest_counts(page, slot, id, counts))
		return false;
	if (sent->id != id)
		return true;
	*mark = sent->mark;
	sent_count_due(generation(page), sent, id, archived, counts);
	return true;
}
