/* SPDX-License-Identifier: ISC */
/*
 * A thread for each channel: from its archive to its stream.
 * mcrelay-forwarder.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/behind.h"
#include "forwarder/forwarder.h"
#include "forwarder/journal.h"
#include "forwarder/stream.h"

/* How often the archive is looked at when there was nothing. */
#define LOOK_MS		50
/* How often it is said how far behind we are, if finding out is not more than
 * this part of the time: an archive may have any number of files. */
#define SAY_NS		NS_PER_S
#define SAY_PART	20U
/* After an error, doubled with each one that follows. */
#define PAUSE_MS	100U
#define PAUSE_MAX_MS	5000U
/* Of a call that waits ANSWER_MS there are a few in a row. */
#define HANGS_NS	(60 * NS_PER_S)

struct lane {
	const struct lane_spec	*spec;
	struct forward_slot	*slot;
	int			 given;		/* its directory */
	struct stream		 stream;
	struct packer		 packer;
	struct behind		 behind;
	struct journal		 journal;
	struct piece		 held;	/* until it is known what follows */
	bool			 holds;
	uint64_t		 stored;	/* bytes of files */
	uint64_t		 said_ns;
	uint64_t		 say_took_ns;
	bool			 idle;		/* all is stored */
	struct stream_end	 end;		/* as far as we know */
	unsigned		 pause_ms;
	/* For lanes_get_anywhere(): when it began what it does, 0: to read. */
	_Atomic uint64_t	 turn_ns;
};

static struct lane	*lanes[FORWARD_CHANNELS_MAX];

static void
say(_Atomic uint64_t *where, uint64_t value)
{
	atomic_store_explicit(where, value, memory_order_relaxed);
}

static void
add(_Atomic uint64_t *where, uint64_t value)
{
	atomic_fetch_add_explicit(where, value, memory_order_relaxed);
}

static void
say_state(struct lane *lane, enum forward_state state)
{
	say(&lane->slot->state, state);
}

static enum forward_state
state_of(const struct lane *lane)
{
	return (enum forward_state)atomic_load_explicit(&lane->slot->state,
	    memory_order_relaxed);
}

static void
turn(struct lane *lane, bool reads)
{
	say(&lane->turn_ns, reads ? 0 : clock_monotonic_ns());
}

static void
sleep_ms(unsigned ms)
{
	const struct timespec time = {.tv_sec = ms / 1000,
	    .tv_nsec = (long)(ms % 1000) * (long)NS_PER_MS};

	(void)nanosleep(&time, NULL);
}

/*** How far it is. ***/

struct ages {
	struct lane	*lane;
	uint64_t	 now_ns;
};

static void
note_age(void *argument, uint64_t left, uint64_t age_ns)
{
	struct ages *ages = argument;
	struct lane *lane = ages->lane;

	behind_note(&lane->behind, lane->packer.given + left, ages->now_ns -
	    MIN_OF(age_ns, ages->now_ns - 1));
}

static void
say_behind(struct lane *lane)
{
	struct ages ages = {lane, clock_monotonic_ns()};
	uint64_t written;

	if (ages.now_ns - lane->said_ns < MAX_OF(SAY_NS,
	    SAY_PART * lane->say_took_ns))
		return;
	/* What is there beyond is no whole block. */
	if (lane->idle)
		written = lane->stored;
	else {
		turn(lane, true);
		/* At first, the age of what waits is that of its files. */
		written = lane->packer.given + source_left(
		    &lane->packer.source, lane->said_ns == 0 ? note_age :
		    NULL, &ages);
		turn(lane, false);
		lane->say_took_ns = clock_monotonic_ns() - ages.now_ns;
		behind_note(&lane->behind, written, ages.now_ns);
	}
	lane->said_ns = ages.now_ns;
	say(&lane->slot->behind_since_ns, behind_since(&lane->behind,
	    lane->idle ? UINT64_MAX : lane->stored));
	say(&lane->slot->behind_bytes, written - MIN_OF(lane->stored,
	    written));
}

/* Up to which file all has been stored. */
static void
say_file(struct lane *lane)
{
	struct archive_name name = {.started_ns = FORWARD_NO_FILE};

	if (lane->end.stem[0] != '\0' && !archive_name_parse(lane->end.stem,
	    lane->spec->name, &name))
		return;
	say(&lane->slot->file_sequence, name.first_sequence);
	say(&lane->slot->file_started_ns, name.started_ns);
}

/*** From the end of the stream on. ***/

static bool
begin(struct lane *lane)
{
	struct stream_end end;
	bool known;

	if (!forward_is_refused(state_of(lane)))
		say_state(lane, FORWARD_ASKING);
	switch (stream_ask(&lane->stream, &end)) {
	case STREAM_GOOD:
		/* A limit may still be reached: that is seen when it is not. */
		if (state_of(lane) == FORWARD_FOREIGN)
			say_state(lane, FORWARD_ASKING);
		break;
	case STREAM_FOREIGN:
		say_state(lane, FORWARD_FOREIGN);
		return false;
	default:
		return false;
	}
	/* Emptied, by its limit of age or by hand: it was there before. */
	if (end.stem[0] == '\0' && lane->stream.last > 0)
		end = lane->end;
	lane->end = end;
	turn(lane, true);
	known = packer_seek(&lane->packer, end.stem, end.records);
	turn(lane, false);
	if (!known)
		return false;
	say(&lane->slot->sequence, lane->stream.last);
	say_file(lane);
	memset(&lane->behind, 0, sizeof(lane->behind));
	lane->stored = 0;
	lane->said_ns = 0;
	log_debug("channel %s: stream %s ends with its message %llu",
	    lane->spec->name, lane->spec->stream,
	    (unsigned long long)lane->stream.last);
	return true;
}

static bool
send_held(struct lane *lane, bool more)
{
	const bool holds = lane->holds;

	lane->holds = false;
	return !holds || stream_send(&lane->stream, &lane->held, more) ==
	    STREAM_GOOD;
}

/* Sends the one before, and takes another if there is one; false: the end has
 * to be read anew. */
static bool
send_next(struct lane *lane, bool *another)
{
	struct piece piece;
	enum pack_status status;

	turn(lane, true);
	status = packer_next(&lane->packer, stream_max(&lane->stream),
	    &piece);
	turn(lane, false);
	*another = status == PACK_MESSAGE;
	if (!send_held(lane, *another))
		return false;
	if (*another) {
		lane->held = piece;
		lane->holds = true;
		return true;
	}
	lane->idle = status == PACK_NOTHING &&
	    lane->stream.sent == lane->stream.stored;
	if (lane->idle)
		lane->stored = lane->packer.given;
	if (status == PACK_NOTHING ||
	    lane->stream.sent != lane->stream.stored)
		return true;
	say_state(lane, FORWARD_OVERSIZED);
	return false;
}

static bool
take_answer(struct lane *lane, int64_t ms)
{
	struct sent done;
	uint64_t messages;
	bool another;

	switch (stream_answer(&lane->stream, ms, &done, &messages)) {
	case STREAM_GOOD:
		break;
	case STREAM_NOTHING:
		return true;
	case STREAM_FULL:
		add(&lane->slot->refused, 1);
		say_state(lane, FORWARD_REFUSED);
		return false;
	default:
		return false;
	}
	if (messages == 0)
		return true;
	lane->stored = done.given;
	another = strcmp(lane->end.stem, done.end.stem) != 0;
	lane->end = done.end;
	if (another)
		say_file(lane);
	lane->pause_ms = PAUSE_MS;
	add(&lane->slot->messages, messages);
	add(&lane->slot->records, done.records);
	add(&lane->slot->bytes, done.bytes);
	say(&lane->slot->sequence, lane->stream.last + lane->stream.stored);
	say_state(lane, FORWARD_FORWARDING);
	return true;
}

/* As many as may be on their way; false: the end has to be read anew. */
static bool
send_some(struct lane *lane)
{
	bool another = true;

	while (another && stream_has_room(&lane->stream))
		if (!send_next(lane, &another))
			return false;
	return true;
}

/* Answers come one by one: to go on after each would cost more than the message
 * that can be sent then. */
static bool
take_answers(struct lane *lane)
{
	do {
		if (!take_answer(lane, LOOK_MS))
			return false;
	} while (stream_is_crowded(&lane->stream));
	return true;
}

/* Until something goes wrong. */
static void
forward(struct lane *lane)
{
	bool good = true;

	lane->idle = lane->holds = false;
	journal_forget(&lane->journal);
	if (!forward_is_refused(state_of(lane)))
		say_state(lane, FORWARD_FORWARDING);
	while (good && link_is_up()) {
		turn(lane, false);
		say_behind(lane);
		journal_turn(&lane->journal);
		good = send_some(lane) && take_answers(lane);
	}
}

/*
 * Until it can be opened: without the lock that the supervisor's has, which
 * must not outlive it for long.  A server that does not answer, or a directory
 * that is closed to us, keeps no other lane.
 */
static void
open_directory(struct lane *lane)
{
	bool told = false;
	int fd;

	for (;;) {
		turn(lane, true);
		fd = openat(lane->given, ".", O_RDONLY | O_DIRECTORY |
		    O_CLOEXEC);
		turn(lane, false);
		if (fd != -1)
			break;
		if (!told)
			log_warn("channel %s: user id %u cannot read its "
			    "archive: nothing of it is forwarded",
			    lane->spec->name, (unsigned)geteuid());
		told = true;
		say_state(lane, FORWARD_UNREADABLE);
		sleep_ms(PAUSE_MAX_MS);
	}
	close(lane->given);
	say_state(lane, FORWARD_CONNECTING);
	packer_init(&lane->packer, fd, lane->spec->name);
	journal_init(&lane->journal, lane->spec->name, fd);
}

static void *
run(void *argument)
{
	struct lane *lane = argument;
	bool first = true;

	open_directory(lane);
	for (;;) {
		turn(lane, false);
		say_behind(lane);
		if (!link_is_up()) {
			say_state(lane, FORWARD_CONNECTING);
			sleep_ms(LOOK_MS);
			continue;
		}
		if (!first)
			add(&lane->slot->resyncs, 1);
		first = false;
		if (begin(lane))
			forward(lane);
		if (forward_is_refused(state_of(lane)))
			lane->pause_ms = PAUSE_MAX_MS;
		sleep_ms(lane->pause_ms);
		lane->pause_ms = MIN_OF(2 * lane->pause_ms, PAUSE_MAX_MS);
	}
	return NULL;
}

void
lane_start(unsigned number, int given)
{
	struct lane *lane = xcalloc(1, sizeof(*lane));
	pthread_t thread;
	int error;

	lane->spec = &spec.lane[number];
	lane->slot = &page->slot[number];
	lane->pause_ms = PAUSE_MS;
	stream_init(&lane->stream, lane->spec);
	lane->given = given;
	turn(lane, false);
	lanes[number] = lane;
	error = pthread_create(&thread, NULL, run, lane);
	if (error != 0) {
		errno = error;
		fatal("no thread for channel %s", lane->spec->name);
	}
	(void)pthread_detach(thread);
}

bool
lanes_get_anywhere(void)
{
	const uint64_t now = clock_monotonic_ns();
	uint64_t turn_ns;
	unsigned i;

	for (i = 0; i < spec.lanes; i++) {
		turn_ns = atomic_load_explicit(&lanes[i]->turn_ns,
		    memory_order_relaxed);
		if (turn_ns != 0 && now > turn_ns && now - turn_ns > HANGS_NS)
			return false;
	}
	return true;
}
