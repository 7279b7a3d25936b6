/* SPDX-License-Identifier: ISC */
/*
 * What a segment has of the calls that are in flight: what the kernel writes to
 * while it receives and sends.  segment.h says what becomes of it when the
 * worker is killed.
 */
#ifndef MCRELAY_IN_FLIGHT_H
#define MCRELAY_IN_FLIGHT_H

#include <sys/socket.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/channel_config.h"
#include "common/compiler.h"
#include "common/ring.h"

#define SLOT_SIZE		65536U
#define RX_SLOTS_MAX		64
#define RX_SLOTS_MIN		2
#define RX_CONTROL_SIZE		128
#define TX_MESSAGES		64
#define TX_IOVECS		1024
#define TX_CONTROL_SIZE		32
#define RX_SENTINEL		UINT32_MAX
#define TX_SENTINEL		UINT32_MAX

/*
 * A batch is received straight into the ring, as far as its messages are
 * no larger than expected: message i lands behind the place of its record's
 * header at head + i * stride, up to the next such place, and the rest of it in
 * slot i.  A stride of 0 expects nothing: all of it lands in the slots.
 *
 * A message that fits becomes a record where it lies.  The first that does not
 * and all after it are copied to beyond the last landing place, so that a
 * successor still finds them where they landed.
 */
#define RX_STRIDE_MAX	(SLOT_SIZE + (uint32_t)sizeof(struct ring_record))

struct rx_area {
	_Atomic uint64_t	batch;
	uint32_t		offered;	/* messages given to recvmmsg */
	uint32_t		stride;		/* of their landing places */
	uint32_t		input;		/* which they come by */
	struct mmsghdr		msg[RX_SLOTS_MAX] ATTR_ALIGNED(CACHE_LINE);
	struct iovec		iov[RX_SLOTS_MAX][2]; /* ring, then slot */
	struct sockaddr_in6	name[RX_SLOTS_MAX]; /* fits v4 as well */
	uint8_t			control[RX_SLOTS_MAX][RX_CONTROL_SIZE]
				    ATTR_ALIGNED(CACHE_LINE);
};

#define TX_BATCH(output, batch)	((batch) * OUTPUTS_MAX + (output))
#define TX_BATCH_OUTPUT(word)	((word) % OUTPUTS_MAX)

/* Where an output stands once a message has left. */
struct tx_plan {
	uint64_t	position;
	uint64_t	sequence;
	uint32_t	skip;
	uint32_t	datagrams;	/* in this message */
	uint32_t	datagram_size;	/* of each but the last */
	uint32_t	kernel_failed;	/* the kernel's program could not */
};

struct tx_area {
	/* TX_BATCH() of the output and its batch: one word, one store. */
	_Atomic uint64_t	batch;
	uint32_t		offered;	/* messages given to sendmmsg */
	struct mmsghdr		msg[TX_MESSAGES] ATTR_ALIGNED(CACHE_LINE);
	struct tx_plan		plan[TX_MESSAGES];
	struct iovec		iov[TX_IOVECS];
	uint8_t			control[TX_MESSAGES][TX_CONTROL_SIZE]
				    ATTR_ALIGNED(CACHE_LINE);
};

/*** io_uring. ***/

/*
 * The buffers of an input are given to the kernel in the order of their numbers
 * and filled in that order: message n of the input, counted since the segment
 * was made, lands in buffer n mod `buffers'.  Each begins with what the kernel
 * says of the message (struct io_uring_recvmsg_out), then come name, ancillary
 * data and payload.  That first part is written after all others; before a
 * buffer is given away its length is RX_SENTINEL.
 *
 * The worker commits messages, puts the sentinels back, stores in `published'
 * how far buffers are given away, and gives them.  So from the first message
 * that is not committed on, those without sentinel have come, up to the first
 * that has one, and never beyond `published'.
 *
 * The kernel fills buffers only in system calls of the relay thread (see
 * worker/ingest_uring.c), so that nothing changes once that has ended.
 */
#define URING_NAME_SIZE		32
#define URING_OUT_SIZE		16
#define URING_PAYLOAD_AT	(URING_OUT_SIZE + URING_NAME_SIZE + \
	RX_CONTROL_SIZE)
/* Whole cache lines, an odd number of them: buffers use them all alike. */
#define URING_BUFFER_SIZE	(SLOT_SIZE + 192)
#define URING_PAGE		4096

/* What the kernel writes first in a buffer. */
struct uring_out {
	uint32_t	name_length;
	uint32_t	control_length;
	uint32_t	length;		/* of the payload, or RX_SENTINEL */
	uint32_t	flags;		/* MSG_TRUNC */
};
_Static_assert(sizeof(struct uring_out) == URING_OUT_SIZE, "the kernel's");

struct uring_input {
	_Atomic uint64_t published;	/* messages that have had a buffer */
	/* The kernel's struct io_uring_buf_ring, on a page of its own. */
	uint8_t		 kernel[URING_PAGE] ATTR_ALIGNED(URING_PAGE);
	/* `buffers' of URING_BUFFER_SIZE follow. */
};
_Static_assert(sizeof(struct uring_input) == 2 * URING_PAGE &&
    URING_PAYLOAD_AT <= 192, "it fits");

/* What receives. */
enum io_way {
	IO_SOCKET,
	IO_URING,
	IO_XDP,
};

/* How many buffers an input has, a power of two. */
static inline uint32_t
uring_buffers(const struct uring_config *config, uint32_t rx_slots)
{
	uint32_t most = config->queue_depth < rx_slots ? config->queue_depth :
	    rx_slots, n = 1;

	while (n * 2 <= most && n * 2 <= RX_SLOTS_MAX)
		n *= 2;
	return n;
}

/* Bytes that each input takes. */
static inline uint64_t
uring_input_size(uint32_t buffers)
{
	return (sizeof(struct uring_input) + (uint64_t)buffers *
	    URING_BUFFER_SIZE + URING_PAGE - 1) & ~(uint64_t)(URING_PAGE - 1);
}

#endif /* MCRELAY_IN_FLIGHT_H */
