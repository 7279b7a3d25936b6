/* SPDX-License-Identifier: ISC */
/*
 * The ledger: a channel's counters.  Every datagram is accounted for, by
 * cause.  One table for each domain of segment.h declares its counters once:
 * the domain's counts, the snapshot struct, the JSON, the log line, what the
 * archive's catalogue tells and the manual page's list come from it.
 *
 * Where they live and how they survive a killed worker: segment.h.
 *
 * Identities that hold in every snapshot of a channel with an archive
 *	received = archived + rejected + archive_shed + archive_paused + pending
 * and, once the outputs have caught up,
 *	received * outputs = relayed + relay_errors + relay_paused +
 *	    relay_standby + kernel_relayed
 * and, where the sender's count is known and nothing was dropped coalesced,
 *	sent = received + kernel_dropped + truncated + refused_source
 * where inputs are merged, of all that was sent on all paths
 *	sent = received + merged + merge_waiting + kernel_dropped +
 *	    truncated + refused_source
 * relay_errors is the sum of RELAY_ERROR_COUNTERS; kernel_relay_errors are left
 * to the worker, and so are counted among the others as well.
 */
#ifndef MCRELAY_LEDGER_H
#define MCRELAY_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/datum.h"

enum ledger_kind {
	LEDGER_COUNTER,		/* only grows */
	/* A count that what comes later corrects: it may go down, too, when a
	 * loss turns out to be none. */
	LEDGER_CORRECTED,
	LEDGER_GAUGE,		/* a level: differences of it mean nothing */
};

enum ledger_unit {
	LEDGER_DATAGRAMS,
	LEDGER_BYTES,
	LEDGER_OPERATIONS,
};

/*
 * X(name, kind, unit, catalogued, meaning), where `catalogued' tells whether
 * the archive's catalogue says of each file how much it changed.  Users rely on
 * the names, and read the ledger in the order of LEDGER_COUNTERS: append to a
 * table, never rename.
 */

/* Counted by ingest. */
#define INGEST_FLOW_COUNTERS(X)						\
	X(received, COUNTER, DATAGRAMS, false,				\
	    "datagrams taken from the socket and committed to the ring") \
	X(received_bytes, COUNTER, BYTES, false,			\
	    "payload bytes of those datagrams")				\
	X(kernel_dropped, COUNTER, DATAGRAMS, true,			\
	    "datagrams the kernel dropped because the socket's receive "\
	    "buffer was full, or with a bad checksum; at least, as "	\
	    "a dropped coalesced packet counts once")			\
	X(truncated, COUNTER, DATAGRAMS, true,				\
	    "datagrams larger than a landing slot, not kept")		\
	X(refused_source, COUNTER, DATAGRAMS, true,			\
	    "datagrams from a source that is not allowed")		\
	X(sequence_gaps, CORRECTED, DATAGRAMS, true,			\
	    "datagrams missing in the sender's own numbering")		\
	X(sequence_repeats, COUNTER, DATAGRAMS, true,			\
	    "datagrams with a sender's number seen before")		\
	X(sequence_reordered, CORRECTED, DATAGRAMS, true,		\
	    "datagrams that came after one with a higher number")	\
	X(merged, COUNTER, DATAGRAMS, false,				\
	    "datagrams that another input of the channel had brought "	\
	    "before, left out")

#define INGEST_GAUGES(X)						\
	X(socket_high_water_bytes, GAUGE, BYTES, false,			\
	    "the most that was seen waiting in the socket's receive "	\
	    "buffer, with the kernel's overhead, which counts")		\
	X(ring_high_water_bytes, GAUGE, BYTES, false,			\
	    "the most of the ring that the archive had yet to store")	\
	X(merge_waiting, GAUGE, DATAGRAMS, false,			\
	    "datagrams that wait for the ones before them")

#define INGEST_COUNTERS(X)						\
	INGEST_FLOW_COUNTERS(X)						\
	INGEST_GAUGES(X)

/* Of these, what each input has counted of its own.  Where inputs are merged,
 * `received' is of the datagrams that went on, `merged' of all others. */
#define INPUT_FLOW_COUNTERS(X)						\
	X(received, COUNTER, DATAGRAMS, false,				\
	    "datagrams taken from the input")				\
	X(received_bytes, COUNTER, BYTES, false,			\
	    "payload bytes of those datagrams")				\
	X(kernel_dropped, COUNTER, DATAGRAMS, false,			\
	    "datagrams the kernel dropped at the input")		\
	X(truncated, COUNTER, DATAGRAMS, false,				\
	    "datagrams larger than a landing slot, not kept")		\
	X(refused_source, COUNTER, DATAGRAMS, false,			\
	    "datagrams from a source that is not allowed")		\
	X(merged, COUNTER, DATAGRAMS, false,				\
	    "datagrams that another input had brought before, left out")

#define INPUT_COUNTERS(X)						\
	INPUT_FLOW_COUNTERS(X)						\
	X(sole, CORRECTED, DATAGRAMS, false,				\
	    "datagrams that no other input has brought, where inputs are " \
	    "merged")

/* Counted by each output; the ledger has the sums. */
#define OUTPUT_FLOW_COUNTERS(X)						\
	X(relayed, COUNTER, DATAGRAMS, false,				\
	    "datagrams the kernel accepted, counted for each output")	\
	X(relay_errors, COUNTER, DATAGRAMS, false,			\
	    "datagrams that could not be sent, counted for each output") \
	X(relay_paused, COUNTER, DATAGRAMS, false,			\
	    "datagrams that came while the relay was paused, counted for " \
	    "each output")						\
	X(relay_standby, COUNTER, DATAGRAMS, false,			\
	    "datagrams that were another host's to relay, counted for "	\
	    "each output")						\
	X(kernel_relayed, COUNTER, DATAGRAMS, false,			\
	    "datagrams that a program in the kernel had relayed, "	\
	    "counted for each output")					\
	X(kernel_relay_errors, COUNTER, DATAGRAMS, false,		\
	    "datagrams that the program could not relay, left to the "	\
	    "worker, counted for each output")

/* The causes of relay_errors. */
#define RELAY_ERROR_COUNTERS(X)						\
	X(relay_overrun, COUNTER, DATAGRAMS, false,			\
	    "relay_errors because an output was a whole ring behind")	\
	X(relay_no_buffers, COUNTER, DATAGRAMS, false,			\
	    "relay_errors because an interface's queue was full (ENOBUFS)") \
	X(relay_unreachable, COUNTER, DATAGRAMS, false,			\
	    "relay_errors because there was no way to the destination")	\
	X(relay_too_large, COUNTER, DATAGRAMS, false,			\
	    "relay_errors because datagrams were too large (EMSGSIZE)")	\
	X(relay_other, COUNTER, DATAGRAMS, false,			\
	    "relay_errors for any other reason")

#define OUTPUT_COUNTERS(X)						\
	OUTPUT_FLOW_COUNTERS(X)						\
	RELAY_ERROR_COUNTERS(X)

/* Counted by the archive.  A disk that loses what was committed takes from
 * these, and what is then stored once more is not shed after all. */
#define ARCHIVE_COUNTERS(X)						\
	X(archived, CORRECTED, DATAGRAMS, false,			\
	    "datagrams in committed blocks of the archive")		\
	X(archived_bytes, CORRECTED, BYTES, false,			\
	    "payload bytes of those datagrams")				\
	X(rejected, CORRECTED, DATAGRAMS, true,				\
	    "datagrams that are not whole datums of the schema, kept in "\
	    "the .rejected archive")					\
	X(archive_shed, CORRECTED, DATAGRAMS, true,			\
	    "datagrams the archive gave up because it could not keep up "\
	    "or could not write")					\
	X(archive_errors, COUNTER, OPERATIONS, true,			\
	    "failed file operations of the archive")			\
	X(archive_paused, CORRECTED, DATAGRAMS, true,			\
	    "datagrams that came while the archive was paused")

/* Between ingest and the archive, counted by neither. */
#define RING_GAUGES(X)							\
	X(pending, GAUGE, DATAGRAMS, false,				\
	    "datagrams in the ring that the archive has yet to store")

/* Counted by the decimator for each stream; not in the ledger. */
#define STREAM_COUNTERS(X)						\
	X(in, COUNTER, DATAGRAMS, false, "datagrams taken from the ring") \
	X(out, COUNTER, DATAGRAMS, false, "datagrams the kernel accepted") \
	X(missed, COUNTER, DATAGRAMS, false,				\
	    "datagrams overwritten before they were taken")		\
	X(errors, COUNTER, DATAGRAMS, false,				\
	    "datagrams that were due and could not be sent")		\
	X(unarchived, COUNTER, DATAGRAMS, false,			\
	    "datagrams that the stream's archive did not get")		\
	X(skipped, COUNTER, DATAGRAMS, false,				\
	    "datagrams left out, as decimators ended at them twice")	\
	X(standby, COUNTER, DATAGRAMS, false,				\
	    "datagrams that were another host's to send")

#define LEDGER_COUNTERS(X)						\
	INGEST_FLOW_COUNTERS(X)						\
	OUTPUT_FLOW_COUNTERS(X)						\
	ARCHIVE_COUNTERS(X)						\
	RING_GAUGES(X)							\
	RELAY_ERROR_COUNTERS(X)						\
	INGEST_GAUGES(X)

#define LEDGER_MEMBER(name, kind, unit, catalogued, meaning) uint64_t name;

struct ingest_counts {
	INGEST_COUNTERS(LEDGER_MEMBER)
};

struct input_counts {
	INPUT_COUNTERS(LEDGER_MEMBER)
};

struct output_counts {
	OUTPUT_COUNTERS(LEDGER_MEMBER)
};

struct archive_counts {
	ARCHIVE_COUNTERS(LEDGER_MEMBER)
	uint64_t rejected_by[DATUM_ERRORS];	/* `rejected', by cause */
};

struct stream_counts {
	STREAM_COUNTERS(LEDGER_MEMBER)
};

/* One channel's counters, all of one moment. */
struct ledger {
	LEDGER_COUNTERS(LEDGER_MEMBER)
};

#undef LEDGER_MEMBER

/*
 * What has changed from one ledger of a channel to a later one.  Signed: what
 * an earlier change said of a LEDGER_CORRECTED count may have been too much,
 * and is taken off in a later one, so that the changes of spans that follow
 * each other add up to the change over all of them.
 */
struct ledger_change {
#define LEDGER_CHANGE(name, kind, unit, catalogued, meaning) int64_t name;
	LEDGER_COUNTERS(LEDGER_CHANGE)
#undef LEDGER_CHANGE
};

struct ledger_entry {
	const char		*name;
	const char		*meaning;
	enum ledger_kind	 kind;
	enum ledger_unit	 unit;
	bool			 catalogued;
	size_t			 offset;	/* of the uint64_t */
};

/* In the order of LEDGER_COUNTERS, of struct ledger; like the following it ends
 * with an entry whose name is NULL. */
extern const struct ledger_entry	ledger_table[];
/* OUTPUT_FLOW_COUNTERS, of struct output_counts: what is shown of each output;
 * causes are shown summed over them. */
extern const struct ledger_entry	output_table[];
/* INPUT_COUNTERS, of struct input_counts. */
extern const struct ledger_entry	input_table[];
/* STREAM_COUNTERS, of struct stream_counts. */
extern const struct ledger_entry	stream_table[];

/* `counts' is the struct that the entry's table is of. */
static inline uint64_t
ledger_value(const void *counts, const struct ledger_entry *entry)
{
	return *(const uint64_t *)(const void *)
	    ((const char *)counts + entry->offset);
}

/* Adds an output's to the sums. */
void	ledger_add_output(struct ledger *ledger,
	    const struct output_counts *counts) ATTR_NONNULL;

/* Of a change, which has its members where the ledger has them. */
static inline int64_t
ledger_change_value(const struct ledger_change *change,
    const struct ledger_entry *entry)
{
	return *(const int64_t *)(const void *)
	    ((const char *)change + entry->offset);
}

static inline int64_t
counter_change(uint64_t now, uint64_t then)
{
	return (int64_t)(now - then);
}

void	ledger_since(struct ledger_change *change, const struct ledger *now,
	    const struct ledger *then) ATTR_NONNULL;

#endif /* MCRELAY_LEDGER_H */
