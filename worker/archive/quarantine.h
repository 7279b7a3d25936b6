/* SPDX-License-Identifier: ISC */
/*
 * Datagrams that end the archive's threads.  Worker, archive and packer
 * threads.
 *
 * The handler of a fault (last_words.h) notes in the segment what the archive
 * had in hand (struct quarantine of common/segment.h).  A successor takes that
 * record by record, and commits after each.
 *
 * Each step takes two who ended with the same in hand.  The datagram that they
 * ended at goes to the .rejected archive without being looked at.  When a
 * record has ended them as it was written, nobody knows which of its datagrams
 * it was: all go there, whether or not one has gone before.  If it ends two
 * more even so, the record is shed.  So one that begins with the first step
 * ends six, which loses less than to shed with it what came in the same record.
 *
 * Only faults of the process itself count.  Whoever is killed from outside had
 * something in hand, too, often the same as the one before, as a commit comes
 * but once in a flush interval: that says nothing about the data.
 */
#ifndef MCRELAY_QUARANTINE_H
#define MCRELAY_QUARANTINE_H

#include "worker/archive/archive.h"

/* In the archive thread, before it gathers. */
void	quarantine_open(struct archive *archive) ATTR_NONNULL;
/* The calling thread works on what that one has gathered; NULL: on nothing. */
void	quarantine_thread(struct archive *archive);

/* Whether what has been gathered, if anything, is to be committed before more
 * is. */
bool	quarantine_alone(const struct archive *archive) ATTR_NONNULL;

/* What is to become of the record, or of its datagram `i'. */
bool	quarantine_sheds(const struct archive *archive,
	    const struct ring_view *view) ATTR_NONNULL;
bool	quarantine_has(const struct archive *archive,
	    const struct ring_view *view, uint32_t i) ATTR_NONNULL;

/* Says that a datagram was left out. */
void	quarantine_tell(struct archive *archive, uint64_t sequence,
	    const uint8_t *data, size_t size) ATTR_NONNULL;

#endif /* MCRELAY_QUARANTINE_H */
