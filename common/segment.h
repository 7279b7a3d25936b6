/* SPDX-License-Identifier: ISC */
/*
 * The segment: a channel's shared memory (a sealed memfd).  The supervisor
 * creates and owns it; it outlives every worker.  The worker maps all of it,
 * the decimator maps it read-only but for the decimator's page.
 *
 *	+--------+ 0
 *	| header | magic, sizes, offsets of the areas; constant
 *	+--------+
 *	| config | struct channel_config; constant
 *	+--------+
 *	| inputs | a struct listen_config for each; constant
 *	+--------+
 *	| schema | the Avro schema's text (avro channels); constant
 *	+--------+
 *	| program| the datum program (avro channels); constant
 *	+--------+
 *	| state  | struct worker_state: what must survive the worker
 *	+--------+
 *	| page   | struct decimator_page: of the decimator that has the
 *	|        | channel; nobody else writes here as long as one has it
 *	+--------+
 *	| rx     | struct rx_area: the recvmmsg in flight
 *	+--------+
 *	| slots  | of 64 KiB, rx_slots of them: what lands beside the ring
 *	+--------+
 *	| merge  | struct merge_area and its pool (channels that merge)
 *	+--------+
 *	| tx     | struct tx_area: the sendmmsg in flight
 *	+--------+
 *	| uring  | a struct uring_input for each, with its buffers; none without
 *	|        | io_uring
 *	+--------+
 *	| ring   | ring.h; last, so that it can be mapped twice in a row
 *	+--------+
 * All areas start on a page.  Offsets only, no pointers, except inside the
 * mmsghdr arrays, which the kernel needs: a successor never follows those, it
 * rebuilds them.
 *
 * HOW A KILLED WORKER LOSES NOTHING.  Everything that a batch changes is
 * kept in three domains (domain.h), each with one writer: ingest (relay
 * thread), one per output (relay thread), archive (archive thread).  One
 * store commits the change; what was not committed is done again by the
 * successor, from memory that is still there:
 *
 *  - ingest: before recvmmsg the worker sets each msg_len to
 *    RX_SENTINEL and stores rx.batch = ingest.batch + 1.  The kernel stores
 *    msg_len as it hands over each datagram, before it acts on a signal.  A
 *    successor that finds rx.batch == ingest.batch + 1 commits the prefix of
 *    messages whose sentinel is gone, with the input that rx.input names:
 *    there is one area for all inputs, as one call is in flight at a time.
 *    Commit writes the records beyond the old
 *    head (readers do not look there), then commits the ingest domain with
 *    the new head and the batch number, then publishes the head.
 *    By io_uring, each input has buffers of its own (in_flight.h), and
 *    input_state.messages says which message is the next.
 *  - output: the same with sendmmsg: tx.batch names an output and its
 *    batch + 1 while a call is in flight; the messages without sentinel
 *    have left; tx.plan[] says how far each took the output's position.
 *  - archive: {position, files with their committed sizes}.  A successor
 *    truncates each open file to its committed size and writes the records
 *    from `position' again.
 *
 * The decimator's page holds a fourth one, {position, what each stream has
 * counted up to there}, and one for each stream, {what it has sent}.
 *
 * Sharing between processes is not trust: who reads a segment that somebody
 * else writes copies each word once and bounds it.
 */
#ifndef MCRELAY_SEGMENT_H
#define MCRELAY_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel_config.h"
#include "common/compiler.h"
#include "common/datum.h"
#include "common/decimator_page.h"
#include "common/domain.h"
#include "common/finished.h"
#include "common/in_flight.h"
#include "common/ingest_state.h"
#include "common/ledger.h"
#include "common/merge_area.h"
#include "common/ring.h"
#include "common/turn.h"
#include "common/util.h"

/* A test builds a version with another layout. */
#ifndef SEGMENT_LAYOUT_SALT
#define SEGMENT_LAYOUT_SALT	0
#endif

/* "MCRELAY6", first byte first in memory.  The digit is the layout version. */
#define SEGMENT_MAGIC		(UINT64_C(0x3659414c4552434d) +		\
	((uint64_t)SEGMENT_LAYOUT_SALT << 56))

#define LAST_WORDS_SIZE		256

/* The descriptors a worker starts with; everything else is closed. */
enum worker_fd {
	WORKER_FD_MESSAGES = 3,	/* SOCK_SEQPACKET pair to the supervisor */
	WORKER_FD_SEGMENT = 4,
	WORKER_FD_INPUT = 5,	/* the first */
	WORKER_FD_OUTPUT = 6,	/* config.outputs of them, connected, then:
				 * the archive's directory, when there is an
				 * archive; then the decimator's eventfd; then
				 * the other inputs; then the AF_XDP socket
				 * and its memory, if there is one */
};

/* The exit status that means: my configuration is unusable, do not retry. */
#define WORKER_EXIT_CONFIG	78

/*** What must survive the worker. ***/

struct output_state {
	uint64_t	position;	/* ring position of the next record */
	uint64_t	sequence;	/* of the next datagram to send */
	uint64_t	batch;		/* last sendmmsg batch committed */
	struct output_counts counts;
	uint32_t	skip;		/* datagrams of that record sent */
	uint32_t	reserved;
};

enum file_phase {
	FILE_NONE,
	FILE_CREATING,	/* its .part may exist, with anything in it */
	FILE_OPEN,	/* its .part is good up to `size'; a closing file may
			 * have its final name already */
};

struct archive_file {
	uint32_t	phase;		/* enum file_phase */
	uint32_t	write;		/* enum archive_write, in use */
	uint64_t	started_ns;	/* CLOCK_REALTIME, part of the name */
	uint64_t	first_sequence;	/* part of the name */
	uint64_t	size;		/* committed bytes */
	uint64_t	records;	/* committed */
	uint64_t	datagrams;	/* in these */
	uint64_t	payload;	/* bytes of these datagrams */
	uint64_t	begins;		/* sequence of the first of them */
	uint64_t	ends;		/* and of the last */
	uint64_t	first_received_ns;
	uint64_t	last_received_ns;
	int64_t		clock_step_ns;	/* CLOCK_REALTIME was set, by so much */
	uint8_t		sync[16];	/* the sync marker */
};

enum archive_kind {
	ARCHIVE_MAIN,
	ARCHIVE_REJECTED,
	ARCHIVE_KINDS,
};

struct archive_state {
	uint64_t	position;	/* ring position of the next record */
	uint64_t	sequence;	/* of the next datagram to archive */
	struct archive_counts counts;
	struct archive_file file[ARCHIVE_KINDS];	/* being written */
	struct archive_file closing[ARCHIVE_KINDS];	/* being finished */
	/* What the ledger counted up to the beginning of the file, and during
	 * the one being finished: what the catalogue says of it. */
	struct ledger	told[ARCHIVE_KINDS];
	struct ledger_change lost[ARCHIVE_KINDS];
	uint32_t	lost_known[ARCHIVE_KINDS];
};

SEGMENT_DOMAIN(ingest);
SEGMENT_DOMAIN(output);
SEGMENT_DOMAIN(archive);

/* What became of MESSAGE_STOP, which asks a worker to store everything. */
enum drained {
	DRAINED_NOT,		/* nobody was asked, or it has not got there */
	DRAINED,		/* everything is stored */
	DRAINED_WITH_LOSS,	/* what could not be is counted as shed */
};

/*
 * Room on the file system of an archive.  The keeper
 * thread writes what there is and what it could remove; the supervisor, which
 * sees all channels, says up to where it may.
 */
struct room {
	_Atomic uint64_t	device;		/* st_dev; 0: not known yet */
	_Atomic uint64_t	free;		/* bytes */
	/* When the first file was finished that could go; CLOCK_REALTIME,
	 * UINT64_MAX: there is none. */
	_Atomic uint64_t	oldest_ns;
	/* Not 0: less is free than `min_free', as the worker is about to tell
	 * the supervisor (MESSAGE_ROOM_WANTED). */
	_Atomic uint32_t	wanted;
	/* Written by the supervisor before MESSAGE_MAKE_ROOM, cleared by the
	 * keeper: files that were finished by then may go. */
	_Atomic uint64_t	until_ns;
	/*
	 * With keep_unforwarded, of the file up to which all is forwarded, the
	 * two numbers in its name; 0: not known yet.  Written by the supervisor
	 * as mcrelay-forwarder says it, one after the other: two that do not
	 * belong together are no file's.
	 */
	_Atomic uint64_t	forwarded_started_ns;
	_Atomic uint64_t	forwarded_sequence;
};

/*
 * What the archive had in hand when a fault ended its worker
 * (worker/archive/quarantine.h).
 */
struct quarantine {
	uint64_t	position;	/* of the record, or of the first of
					 * several: as in struct ring_view */
	uint64_t	until;		/* end of what was in hand */
	/* In the record at `position'; RING_DATAGRAMS_MAX: not known. */
	uint32_t	datagram;
	uint32_t	deaths;		/* with all of this the same */
	/* Datagrams of the record that are left out, a bit each. */
	uint64_t	out[RING_DATAGRAMS_MAX / 64];
};

struct worker_state {
#if SEGMENT_LAYOUT_SALT
	uint64_t	salt[SEGMENT_LAYOUT_SALT * 8];
#endif
	struct ring_shared	ring;
	struct ingest_domain	ingest;
	/* Part of the ingest domain, which says which copy is in force. */
	struct sender	source[2][SENDERS_MAX];
	/* Likewise: copy i goes with copy i of the domain (inputs.h). */
	struct input_state	input[2][INPUTS_MAX];
	struct output_domain	output[OUTPUTS_MAX];
	struct archive_domain	archive;
	/* What the archive thread waits for (ring_sleep). */
	_Atomic uint64_t	archive_wake_at ATTR_ALIGNED(CACHE_LINE);
	/* The archive's position, for the gate of on_overrun: block. */
	_Atomic uint64_t	archive_position ATTR_ALIGNED(CACHE_LINE);
	/* enum drained.  Cleared by the supervisor before a start. */
	_Atomic uint32_t	drained ATTR_ALIGNED(CACHE_LINE);
	/* Not 0: the archive's directory is gone, as MESSAGE_DIRECTORY_GONE
	 * tells the supervisor, who clears it and looks for it. */
	_Atomic uint32_t	directory_gone;
	/* RING_NO_ARCHIVE, RING_NO_RELAY: what each record gets that is
	 * committed.  Written by the supervisor. */
	_Atomic uint32_t	paused;
	struct turn		turn;
	/* enum io_way; written by the worker when it has set up. */
	_Atomic uint32_t	receives_by;
	/* The cookie of the AF_XDP socket that the next worker is given; 0: it
	 * is given none.  And where that is bound, which no socket of this kind
	 * tells, and the VLAN whose datagrams it is given; 0: those of none.
	 * Written by the supervisor before a start. */
	uint64_t		xdp_socket;
	uint32_t		xdp_ifindex;
	uint16_t		xdp_queue;
	uint16_t		xdp_vlan;
	/* Not 0: a loop that channels share is at this one.  And how often a
	 * process that it shares has died of a fault of its own at it, since
	 * the supervisor has cleared that. */
	_Atomic uint32_t	working;
	_Atomic uint32_t	faults;
	/* What workers do without io_uring, as the first that does has said;
	 * enum uring_use. */
	_Atomic uint32_t	uring_missed;
	struct room		room;
	struct quarantine	quarantine;
	/* Files that were finished lately, for the supervisor's events. */
	struct finished		finished;
	/* Written by a worker that dies, read by the supervisor, who clears
	 * it before a start.  May hold anything. */
	char			last_words[LAST_WORDS_SIZE];
};

/*** The header. ***/

enum segment_area {
	AREA_CONFIG,
	AREA_INPUTS,
	AREA_SCHEMA,
	AREA_PROGRAM,
	AREA_STATE,
	AREA_DECIMATOR,
	AREA_RX,
	AREA_SLOTS,
	AREA_MERGE,
	AREA_TX,
	AREA_URING,
	AREA_RING,
	AREAS,
};

/* Magic, size and layout stay what and where they are: by these a program knows
 * segments of another layout. */
struct segment_header {
	_Atomic uint64_t	magic;		/* stored last, release */
	uint64_t		size;		/* of the whole object */
	/* sizeof of the shared structs: a program built with another layout
	 * refuses the segment. */
	uint32_t		layout[6];
	uint32_t		rx_slots;
	uint32_t		reserved;
	struct {
		uint64_t	offset;		/* page aligned */
		uint64_t	size;		/* in use */
	} area[AREAS];
};
_Static_assert(sizeof(struct segment_header) <= 4096, "one page");

/*** A process's view of a segment. ***/

enum segment_access {
	SEGMENT_WORKER,		/* read and write everything */
	SEGMENT_SUPERVISOR,	/* the same; does not pre-fault */
	SEGMENT_DECIMATOR,	/* read-only but for its page */
};

struct segment {
	int				 fd;
	uint8_t				*base;
	size_t				 mapped;	/* bytes */
	uint32_t			 rx_slots;
	const struct channel_config	*config;
	const struct listen_config	*input;	/* inputs of them */
	uint32_t			 inputs;	/* 1 to INPUTS_MAX */
	const char			*schema;	/* NUL terminated */
	size_t				 schema_size;	/* without the NUL */
	const void			*program;	/* NULL: raw */
	size_t				 program_size;
	struct worker_state		*state;
	struct decimator_page		*page;
	struct rx_area			*rx;
	uint8_t				*slots;
	struct merge_area		*merge;	/* NULL: not merged */
	uint64_t			 merge_pool;	/* bytes behind it */
	struct tx_area			*tx;
	uint8_t				*uring;	/* NULL: none */
	struct ring			 ring;
};

struct segment_spec {
	struct channel_config	 config;
	const struct listen_config *input;
	uint32_t		 inputs;	/* 0: one, of zeros */
	const char		*schema;	/* NULL: raw */
	const void		*program;
	size_t			 program_size;
	uint64_t		 ring_size;	/* a power of two */
	/* Counters to go on from (a channel whose configuration changed), or
	 * NULL.  Its worker must have ended. */
	const struct segment	*predecessor;
	/* It is not used yet: takes memory as it is touched, and is not
	 * locked, which segment_lock() makes up for. */
	bool			 later;
};

/*
 * Creates, seals and maps a segment; `locked' tells whether its pages could
 * be locked in memory, and errno, if not, why.  0, or -1 with errno.
 */
int	segment_create(struct segment *segment,
	    const struct segment_spec *spec, bool *locked) ATTR_NONNULL;

/* Bytes of memory that it would take. */
uint64_t	segment_size(const struct segment_spec *spec) ATTR_NONNULL;

/* A number for the layout of this program's segments: programs with the same
 * one can use each other's. */
uint64_t	segment_layout(void);
/* That of the segment behind `fd', whatever layout it has; 0: it is none. */
uint64_t	segment_layout_of(int fd);

/*
 * Maps the segment behind `fd' (which stays the caller's), checking every
 * size and offset in it.  0, or -1 with a reason in *why; then there is
 * nothing to close.
 */
int	segment_attach(struct segment *segment, int fd,
	    enum segment_access access, const char **why) ATTR_NONNULL;

/* Locks its pages in memory; false, with errno, when that is not allowed.
 * Locks do not outlive an execve(). */
bool	segment_lock(const struct segment *segment) ATTR_NONNULL;

/* Processes that are forked do not map it.  They execute something else at
 * once, and with a thousand segments to copy and to unmap, each takes
 * milliseconds. */
void	segment_withhold(const struct segment *segment) ATTR_NONNULL;

/* Unmaps; closes the descriptor only when segment_create() made it. */
void	segment_close(struct segment *segment) ATTR_NONNULL;

/* Whether it is too late to send, as another host may.  The clock is asked
 * only where there is a limit, and by no system call. */
static inline bool
segment_is_muted(const struct worker_state *state)
{
	uint64_t until = atomic_load_explicit(&state->turn.speak_until_ns,
	    memory_order_relaxed);

	return UNLIKELY(until != 0) && clock_boottime_ns() >= until;
}

/* What a channel's worker has counted, all of one moment. */
struct channel_counts {
	struct ledger		ledger;
	struct output_counts	output[OUTPUTS_MAX];
	uint64_t		rejected_by[DATUM_ERRORS];
	uint64_t		last_received_ns; /* CLOCK_REALTIME; 0 never */
	/* Bytes of the ring that the archive has yet to store; bound it. */
	uint64_t		ring_used;
	struct archive_file	file[ARCHIVE_KINDS];	/* being written */
};

/* False: the worker changes them too fast for this reader (domain.h), and
 * *counts is what it was. */
bool	segment_counts(const struct segment *segment,
	    struct channel_counts *counts) ATTR_NONNULL ATTR_UNUSED_RESULT;
/* Messages that the kernel had handed over, and that nobody committed after the
 * batch `committed': a worker died at it, and no other came. */
uint64_t	segment_abandoned(const struct segment *segment,
		    uint64_t committed) ATTR_NONNULL;
/* The same of the ledger alone. */
bool	segment_ledger(const struct segment *segment, struct ledger *ledger)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;

#endif /* MCRELAY_SEGMENT_H */
