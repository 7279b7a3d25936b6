/* SPDX-License-Identifier: ISC */
/*
 * What mcrelay-forwarder says, in the page that it shares with us.  Supervisor
 * only.  Believes nothing of it: the worst that it can do is to have files of
 * its channels kept, or not kept, that are beyond the limits.
 */
#include <string.h>

#include "common/growing.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/forwarder_priv.h"
#include "supervisor/json_text.h"
#include "supervisor/supervisor.h"

/* What has been forwarded of a channel, and how far that is. */
struct forwarded {
	struct forward_counts	counts;
	bool			current;	/* the rest is */
	enum forward_state	state;
	uint64_t		behind_bytes;
	uint64_t		behind_ns;
	uint64_t		sequence;
};

static uint64_t
load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void
add_counts(struct forward_counts *counts, const struct forward_slot *slot)
{
#define ADD_COUNT(name, meaning)	counts->name += load(&slot->name);
	FORWARD_COUNTERS(ADD_COUNT)
#undef ADD_COUNT
}

/* The page is the next one's: what it says is kept with the channels. */
void
forwarder_page_take(struct forwarder *forwarder)
{
	struct channel *channel;

	if (forwarder->page == NULL)
		return;
	TAILQ_FOREACH(channel, &forwarder->supervisor->channels, link)
		if (channel->forwarder == forwarder) {
			add_counts(&channel->forwarded,
			    &forwarder->page->slot[channel->forward_slot]);
			channel->forwarder = NULL;
		}
	memset(forwarder->page, 0, sizeof(*forwarder->page));
}

/* False: there is nothing to be said of it. */
static bool
look_up(const struct channel *channel, struct forwarded *forwarded)
{
	const struct forwarder *forwarder = channel->forwarder;
	const uint64_t now = clock_monotonic_ns();
	const struct forward_slot *slot;
	uint64_t since;

	memset(forwarded, 0, sizeof(*forwarded));
	forwarded->counts = channel->forwarded;
	if (forwarder == NULL)
		return channel->conf->forward;
	slot = &forwarder->page->slot[channel->forward_slot];
	since = load(&slot->behind_since_ns);
	add_counts(&forwarded->counts, slot);
	forwarded->current = forwarder->child.state == CHILD_RUNNING;
	forwarded->state = (enum forward_state)MIN_OF(load(&slot->state),
	    (uint64_t)FORWARD_STATES_COUNT - 1);
	forwarded->behind_bytes = load(&slot->behind_bytes);
	forwarded->behind_ns = since != 0 && since < now ? now - since : 0;
	forwarded->sequence = load(&slot->sequence);
	return channel->conf->forward;
}

bool
forwarder_refused(const struct channel *channel)
{
	struct forwarded forwarded;

	return look_up(channel, &forwarded) && forwarded.current &&
	    forward_is_refused(forwarded.state);
}

bool
forwarder_behind(const struct channel *channel)
{
	struct forwarded forwarded;

	return look_up(channel, &forwarded) &&
	    (forwarded.behind_ns > FORWARDER_BEHIND_NS ||
	    (channel->forwarder_ns != 0 && clock_monotonic_ns() -
	    channel->forwarder_ns > FORWARDER_BEHIND_NS));
}

/* How far that is, for who removes files.  What is not known does not change
 * what was. */
void
forwarder_tell_worker(struct channel *channel)
{
	const struct forwarder *forwarder = channel->forwarder;
	const struct forward_slot *slot;
	struct room *room;
	uint64_t started_ns;

	if (forwarder == NULL || channel->segment.fd == -1)
		return;
	slot = &forwarder->page->slot[channel->forward_slot];
	room = &channel->segment.state->room;
	started_ns = load(&slot->file_started_ns);
	if (started_ns == 0)
		return;
	atomic_store_explicit(&room->forwarded_sequence,
	    load(&slot->file_sequence), memory_order_relaxed);
	atomic_store_explicit(&room->forwarded_started_ns, started_ns,
	    memory_order_relaxed);
}

/*** Said of a channel. ***/

void
forwarder_print(struct growing *out, const struct channel *channel)
{
	static const char *const words[] = {
#define STATE_WORD(name, word)	[FORWARD_##name] = word,
		FORWARD_STATES(STATE_WORD)
#undef STATE_WORD
	};
	struct forwarded forwarded;

	if (!look_up(channel, &forwarded))
		return;
	json_text_open(out, "forward", '{');
	json_text_string(out, "state", forwarded.current ?
	    words[forwarded.state] : "waiting");
#define PRINT_COUNT(name, meaning)					\
	json_text_number(out, #name, forwarded.counts.name);
	FORWARD_COUNTERS(PRINT_COUNT)
#undef PRINT_COUNT
	if (forwarded.current) {
		json_text_number(out, "behind_bytes", forwarded.behind_bytes);
		json_text_number(out, "behind_ms", forwarded.behind_ns /
		    NS_PER_MS);
		json_text_number(out, "sequence", forwarded.sequence);
	}
	json_text_close(out, '}');
}
