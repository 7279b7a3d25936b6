/* SPDX-License-Identifier: ISC */
/*
 * Datagrams by their content: the last that a host has sent, and where another
 * host has them in its ring.  Worker, relay thread only: nobody overwrites what
 * is read here.  Hosts are of one byte order.
 */
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/util.h"
#include "worker/turn.h"

/* From datagram to datagram. */
struct walk {
	const struct ring		*ring;
	uint64_t			 next;		/* record */
	uint64_t			 end;
	/* The record of the last datagram; NULL: before the first. */
	const struct ring_record	*record;
	uint64_t			 position;
	uint32_t			 datagrams;	/* of it, until now */
};

static bool
walk_record(struct walk *walk)
{
	while (walk->next != walk->end) {
		walk->position = walk->next;
		walk->record = (const void *)ring_at(walk->ring,
		    walk->position);
		walk->next += ring_record_span(walk->record);
		walk->datagrams = 0;
		if ((walk->record->flags & RING_PAD) == 0)
			return true;
	}
	return false;
}

static bool
walk_on(struct walk *walk)
{
	if ((walk->record == NULL || (walk->record->flags & RING_PAD) != 0 ||
	    walk->datagrams == ring_record_datagrams(walk->record)) &&
	    !walk_record(walk))
		return false;
	walk->datagrams++;
	return true;
}

/* Inputs that are merged are one: each host has a datagram by whichever path
 * was the first to bring it there. */
static uint32_t
source_of(const struct ring_record *record, bool merged)
{
	const uint16_t at[2] = {record->port, record->input};
	uint64_t hash;

	if (merged)
		return 0;
	hash = hash_bytes64(HASH_BEGIN64, record->address,
	    sizeof(record->address));
	hash = hash_bytes64(hash, at, sizeof(at));
	return (uint32_t)(hash ^ hash >> 32);
}

/* Eight bytes at a time: it may be all of a ring. */
static uint64_t
content_of(const struct walk *walk)
{
	const struct ring_record *record = walk->record;
	uint32_t size = record->datagram_size != 0 ? record->datagram_size :
	    record->length;
	uint32_t offset = (walk->datagrams - 1) * size;
	const uint8_t *data = (const uint8_t *)(record + 1) + offset;
	uint64_t hash, word;

	size = MIN_OF(size, record->length - offset);
	hash = HASH_BEGIN64 ^ size;
	for (; size >= sizeof(word); size -= (uint32_t)sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		data += sizeof(word);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash_bytes64(hash, data, size);
}

/*** The host that stops. ***/

/* How many, from a boundary on. */
static uint64_t
count_from(const struct ring *ring, uint64_t position, uint64_t end)
{
	struct walk walk = {.ring = ring, .next = position, .end = end};
	uint64_t count = 0;

	while (walk_on(&walk))
		count++;
	return count;
}

/* The last boundary before the one at `before' that is intact; 0: none.  Where
 * the ring begins is one. */
static uint64_t
boundary_before(const struct ring *ring, uint64_t before)
{
	uint64_t start = ring_start(ring->size), found = 0, position;
	unsigned i;

	if (start < before && ring_intact(ring, start))
		found = start;
	for (i = 0; i < RING_BOUNDARIES; i++) {
		position = atomic_load_explicit(&ring->shared->boundary[i],
		    memory_order_relaxed);
		if (position > start && position < before &&
		    position > found && ring_intact(ring, position))
			found = position;
	}
	return found;
}

void
turn_mark(const struct ring *ring, const struct turn_view *turn,
    struct turn_mark *mark)
{
	uint64_t end = turn->end, from = end, count = 0, earlier;
	struct walk walk = {.ring = ring, .end = end};

	while (count < TURN_MARK_MAX &&
	    (earlier = boundary_before(ring, from)) != 0) {
		from = earlier;
		count = count_from(ring, from, end);
	}
	walk.next = from;
	mark->count = 0;
	while (walk_on(&walk)) {
		if (count-- > TURN_MARK_MAX)
			continue;
		mark->source[mark->count] = source_of(walk.record,
		    turn->merged);
		mark->content[mark->count++] = content_of(&walk);
	}
}

/*** The host that follows. ***/

/*
 * What there is of one source: the longest sequence of datagrams that mark and
 * ring have in common, in this order and with others between, and where in the
 * ring it ends.  One that is in the mark several times counts only behind the
 * same one as in the mark: else a place that is like another would do.
 */
struct trace {
	uint32_t	 source;
	unsigned	 wanted;
	uint64_t	 want[TURN_MARK_MAX];	/* the oldest first */
	bool		 unique[TURN_MARK_MAX];
	/* With these of the mark, up to each, and what of the ring was looked
	 * at. */
	unsigned	 common[TURN_MARK_MAX];
	unsigned	 best;
	bool		 doubtful;	/* there is a later place as good */
	bool		 begun;
	uint64_t	 before;	/* in the ring */
	struct turn_cut	 cut;
};

static struct trace *
find_trace(struct trace *trace, unsigned traces, uint32_t source)
{
	unsigned i;

	for (i = 0; i < traces; i++)
		if (trace[i].source == source)
			return &trace[i];
	return NULL;
}

static void
want(struct trace *trace, uint64_t content)
{
	bool unique = true;
	unsigned i;

	for (i = 0; i < trace->wanted; i++)
		if (trace->want[i] == content)
			unique = trace->unique[i] = false;
	trace->unique[trace->wanted] = unique;
	trace->want[trace->wanted++] = content;
}

static unsigned
begin_traces(struct trace *trace, const struct turn_mark *mark)
{
	uint32_t i, count = MIN_OF(mark->count, TURN_MARK_MAX);
	unsigned traces = 0;
	struct trace *one;

	for (i = 0; i < count; i++) {
		one = find_trace(trace, traces, mark->source[i]);
		if (one == NULL) {
			one = &trace[traces++];
			one->source = mark->source[i];
		}
		want(one, mark->content[i]);
	}
	return traces;
}

static bool
is_same(const struct trace *trace, unsigned i, uint64_t content)
{
	return trace->want[i] == content && (trace->unique[i] || i == 0 ||
	    !trace->begun || trace->before == trace->want[i - 1]);
}

/* The row of the table of common sequences that this one of the ring has. */
static void
look_at(struct trace *trace, const struct walk *walk)
{
	uint64_t content = content_of(walk);
	unsigned i, before = 0, old, now, longest, best = 0;

	for (i = 0; i < trace->wanted; i++) {
		old = trace->common[i];
		now = is_same(trace, i, content) ? before + 1 : 0;
		best = MAX_OF(best, now);
		longest = MAX_OF(old, now);
		if (i > 0)
			longest = MAX_OF(longest, trace->common[i - 1]);
		trace->common[i] = longest;
		before = old;
	}
	trace->begun = true;
	trace->before = content;
	if (best == 0 || best < trace->best)
		return;
	trace->doubtful = best == trace->best;
	if (trace->doubtful)
		return;
	trace->best = best;
	trace->cut = (struct turn_cut){.source = trace->source,
	    .position = walk->position, .skip = walk->datagrams};
}

/* What was found, as the relay goes by it. */
static void
take_cuts(const struct trace *trace, unsigned traces, struct turn_view *turn)
{
	unsigned i;

	for (i = 0; i < traces; i++) {
		if (trace[i].best == 0)
			continue;
		if (turn->cuts == 0)
			turn->sent_first = trace[i].cut.position;
		turn->cut[turn->cuts++] = trace[i].cut;
		turn->sent_first = MIN_OF(turn->sent_first,
		    trace[i].cut.position);
		turn->sent_end = MAX_OF(turn->sent_end,
		    trace[i].cut.position + 1);
	}
}

static void
say_found(const struct trace *trace, unsigned traces, uint64_t kept)
{
	unsigned i, found = 0, doubtful = 0;

	for (i = 0; i < traces; i++) {
		found += trace[i].best > 0;
		doubtful += trace[i].best > 0 && trace[i].doubtful;
	}
	if (kept == 0)
		log_info("handed over: nothing has come meanwhile");
	else if (traces == 0)
		log_info("handed over: the other host had nothing; %llu "
		    "datagrams were kept", (unsigned long long)kept);
	else if (found == traces && doubtful == 0)
		log_info("handed over: goes on behind what the other host has "
		    "sent, in %llu datagrams that were kept",
		    (unsigned long long)kept);
	else
		log_warnx("handed over: of %u sources that the other host has "
		    "sent, the last datagrams of %u have not come here or "
		    "were kept no more, and of %u cannot be told from others: "
		    "of %llu that were kept, some may be sent twice", traces,
		    traces - found, doubtful, (unsigned long long)kept);
}

void
turn_find(const struct ring *ring, uint64_t from, uint64_t to,
    const struct turn_mark *mark, struct turn_view *turn)
{
	struct trace *trace, *one;
	struct walk walk = {.ring = ring, .next = from, .end = to};
	unsigned traces;
	uint64_t kept = 0;

	turn->cuts = 0;
	turn->sent_first = turn->sent_end =
	    mark->count == TURN_MARK_ALL ? to : 0;
	if (mark->count == TURN_MARK_ALL)
		return;
	trace = xcalloc(TURN_MARK_MAX, sizeof(*trace));
	traces = begin_traces(trace, mark);
	while (walk_on(&walk)) {
		kept++;
		one = find_trace(trace, traces, source_of(walk.record,
		    turn->merged));
		if (one != NULL)
			look_at(one, &walk);
	}
	take_cuts(trace, traces, turn);
	say_found(trace, traces, kept);
	free(trace);
}

uint32_t
turn_sent_of(const struct turn_view *turn, const struct ring_record *record,
    uint64_t position)
{
	uint32_t all = ring_record_datagrams(record);
	uint32_t source = source_of(record, turn->merged);
	unsigned i;

	if ((record->flags & RING_PAD) != 0)
		return 0;
	for (i = 0; i < turn->cuts; i++)
		if (turn->cut[i].source == source)
			return position < turn->cut[i].position ? all :
			    position == turn->cut[i].position ?
			    MIN_OF(all, turn->cut[i].skip) : 0;
	return position < turn->sent_first ? all : 0;
}
