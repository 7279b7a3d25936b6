/* SPDX-License-Identifier: ISC */
/*
 * The ledger: a channel's counters.  Every datagram is accounted for, by
 * cause.  One table declares each counter once; the snapshot struct, the
 * JSON, the log line and the manual page's list come from it.
 *
 * Counts are of datagrams unless the name ends in _bytes.  Where they live
 * and how they survive a killed worker: segment.h.
 *
 * Identities that hold in every snapshot of a channel with an archive
 *	received = archived + rejected + archive_shed + pending
 * and, once the outputs have caught up,
 *	received * outputs = relayed + relay_errors
 * and, where the sender's count is known,
 *	sent = received + kernel_dropped + truncated + refused_source
 * relay_errors is the sum of relay_overrun and what follows it.
 */
#ifndef MCRELAY_LEDGER_H
#define MCRELAY_LEDGER_H

#include <stddef.h>
#include <stdint.h>

/* X(name, meaning) -- names are relied on by users: append, never rename. */
#define LEDGER_COUNTERS(X)						\
	X(received,							\
	    "datagrams taken from the socket and committed to the ring") \
	X(received_bytes, "payload bytes of those datagrams")		\
	X(kernel_dropped,						\
	    "datagrams the kernel dropped because the socket's receive "\
	    "buffer was full, or with a bad checksum; "			\
	    "a dropped coalesced packet counts once")			\
	X(truncated, "datagrams larger than a landing slot, not kept")	\
	X(refused_source, "datagrams from a source that is not allowed") \
	X(sequence_gaps, "datagrams missing in the sender's own numbering") \
	X(sequence_repeats, "datagrams with a sender's number seen before") \
	X(sequence_reordered,						\
	    "datagrams that came after one with a higher number")	\
	X(relayed, "datagrams the kernel accepted, summed over outputs") \
	X(relay_errors,							\
	    "datagrams an output could not send, summed over outputs")	\
	X(archived, "datagrams in committed blocks of the archive")	\
	X(archived_bytes, "payload bytes of those datagrams")		\
	X(rejected,							\
	    "datagrams that are not whole datums of the schema, kept in "\
	    "the .rejected archive")					\
	X(archive_shed,							\
	    "datagrams the archive gave up because it could not keep up "\
	    "or could not write")					\
	X(archive_errors, "failed file operations of the archive")	\
	X(pending, "datagrams in the ring that the archive has yet to store") \
	X(relay_overrun,						\
	    "relay_errors because an output was a whole ring behind")	\
	X(relay_no_buffers,						\
	    "relay_errors because an interface's queue was full (ENOBUFS)") \
	X(relay_unreachable,						\
	    "relay_errors because there was no way to the destination")	\
	X(relay_too_large,						\
	    "relay_errors because datagrams were too large (EMSGSIZE)")	\
	X(relay_other, "relay_errors for any other reason")		\
	X(socket_high_water_bytes,					\
	    "the most that was seen waiting in the socket's receive "	\
	    "buffer, with the kernel's overhead, which counts")		\
	X(ring_high_water_bytes,					\
	    "the most of the ring that the archive had yet to store")

/* One channel's counters, all of one moment. */
struct ledger {
#define LEDGER_MEMBER(name, meaning)	uint64_t name;
	LEDGER_COUNTERS(LEDGER_MEMBER)
#undef LEDGER_MEMBER
};

struct ledger_entry {
	const char	*name;
	const char	*meaning;
	size_t		 offset;	/* of the uint64_t in struct ledger */
};

/* In the order above; ends with an entry whose name is NULL. */
extern const struct ledger_entry	ledger_table[];

static inline uint64_t
ledger_value(const struct ledger *ledger, const struct ledger_entry *entry)
{
	return *(const uint64_t *)(const void *)
	    ((const char *)ledger + entry->offset);
}

/* Takes an earlier ledger of the same channel off. */
void	ledger_subtract(struct ledger *ledger, const struct ledger *earlier);

#endif /* MCRELAY_LEDGER_H */
