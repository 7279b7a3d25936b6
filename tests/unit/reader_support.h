/* SPDX-License-Identifier: ISC */
/*
 * For the tests of the decimator: a worker that writes to a segment's ring
 * the way the real one does, MESSAGE_SERVE messages, and sockets on loopback.
 */
#ifndef MCRELAY_READER_SUPPORT_H
#define MCRELAY_READER_SUPPORT_H

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/message.h"
#include "common/segment.h"
#include "decimator/reader.h"

struct fake_worker {
	struct segment	segment;
	uint64_t	head;
	uint64_t	sequence;	/* of the next datagram */
	uint64_t	first_sequence;	/* the segment began with */
	int		eventfd;
	unsigned	wakes;		/* written to the eventfd */
};

/* `program' NULL: a raw channel.  `old': goes on with its numbering. */
void	fake_open(struct fake_worker *w, uint64_t ring_size,
	    const void *program, size_t program_size,
	    const struct fake_worker *old);
void	fake_close(struct fake_worker *w) ATTR_NONNULL;
/* Writes and publishes one record; `segment' as in struct ring_record. */
void	fake_put(struct fake_worker *w, const void *data, uint32_t length,
	    uint16_t segment) ATTR_NONNULL;
/* The same, received at that time. */
void	fake_put_at(struct fake_worker *w, const void *data, uint32_t length,
	    uint16_t segment, uint64_t received_ns) ATTR_NONNULL;
/* Datagrams of 64 bytes: the number, then bytes made from it. */
void	fake_put_numbers(struct fake_worker *w, uint64_t first,
	    unsigned count) ATTR_NONNULL;
#define NUMBERED_SIZE	64

/* What the decimator's page says of a stream. */
struct stream_counts	fake_counts(const struct fake_worker *w,
			    unsigned slot) ATTR_NONNULL;

/* A connected UDP socket on loopback and the one it sends to. */
struct sink {
	int	sender;
	int	receiver;
};

void	sink_open(struct sink *sink) ATTR_NONNULL;
void	sink_close(struct sink *sink) ATTR_NONNULL;
/* The next datagram that is there; -1 when there is none. */
ssize_t	sink_get(struct sink *sink, void *data, size_t size) ATTR_NONNULL;
/* Waits for one up to a deadline, which fails the test. */
ssize_t	sink_wait(struct sink *sink, void *data, size_t size) ATTR_NONNULL;
/* The next numbered datagram, checked; -1 when there is none. */
int64_t	sink_number(struct sink *sink) ATTR_NONNULL;

void	message_init(struct message *message, const char *name)
	    ATTR_NONNULL;
void	message_add(struct message *message, const char *name,
	    enum decimate_method method, uint64_t every, unsigned slot)
	    ATTR_NONNULL;
/* reader_open() with copies of the descriptors; `sinks': one for each stream,
 * then one for each that feeds an archive. */
struct reader	*open_reader(const struct message *message,
		    const struct fake_worker *w, const struct sink *sinks,
		    struct reader *old);
#define FD_SLOTS	(READER_FD_STREAM + 2 * STREAMS_MAX)
/* The descriptors for a message, copies; returns how many. */
size_t	message_fds(const struct message *message,
	    const struct fake_worker *w, const struct sink *sinks,
	    int fds[static FD_SLOTS]);

/* Steps until there is nothing left; fails the test when it is broken. */
void	catch_up(struct reader *reader) ATTR_NONNULL;
unsigned	directory_entries(const char *path) ATTR_NONNULL;
/* How many descriptors this process has open. */
unsigned	open_fds(void);

/* A raw channel with a reader and one stream: every fourth datagram. */
struct reader_fixture {
	struct fake_worker	w;
	struct sink		sink[3];
	struct message	message;
	struct reader		*reader;
};

#define FIXTURE_RING	(256U * 1024)
/* Numbered datagrams that fit in such a ring. */
#define RING_NUMBERS	(FIXTURE_RING / (48 + NUMBERED_SIZE))

int	fixture_setup(void **state) ATTR_NONNULL;
int	fixture_teardown(void **state) ATTR_NONNULL;

/* Nothing is unaccounted for, once the reader has caught up. */
void	assert_accounted(const struct fake_worker *w, unsigned slot)
	    ATTR_NONNULL;
/* What each stream has counted is what lies before the place that the page
 * stands at, which is returned. */
uint64_t	check_page(const struct reader_fixture *f, unsigned streams)
		    ATTR_NONNULL;
/* The next `count' datagrams have these numbers, and there are no more. */
void	assert_numbers(struct sink *sink, int64_t first, int64_t step,
	    unsigned count) ATTR_NONNULL;

#endif /* MCRELAY_READER_SUPPORT_H */
