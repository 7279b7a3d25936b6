/* SPDX-License-Identifier: ISC */
/*
 * A channel's configuration as its segment holds it: written by the
 * supervisor, read by the worker and the decimator.  No pointers.
 */
#ifndef MCRELAY_CHANNEL_CONFIG_H
#define MCRELAY_CHANNEL_CONFIG_H

#include <sys/socket.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_NAME_MAX	63
#define OUTPUTS_MAX		16
#define STREAMS_MAX		32
#define INPUTS_MAX		64
#define SOURCES_MAX		32
/* Of all channels that share an address and port. */
#define SHARED_SOURCES_MAX	128U
#define ARCHIVE_DIRECTORY_SIZE	1024
#define RECYCLE_FILES_MAX	64

/* Wait for a batch to form when that saves work; see worker/ingest.h. */
#define COALESCE_AUTO		UINT64_MAX

enum payload_format {
	PAYLOAD_RAW,
	PAYLOAD_AVRO,
};

enum archive_sync {
	SYNC_NONE,
	SYNC_INTERVAL,	/* with each flush */
	SYNC_BLOCK,
};

/* X(constant, name): the ways to write an archive's files.  Configuration,
 * status and worker/archive/write_NAME.c go by it; users rely on the names. */
#define ARCHIVE_WRITE_TABLE(X)						\
	X(WRITE_BUFFERED, buffered)					\
	X(WRITE_DIRECT, direct)						\
	X(WRITE_MMAP, mmap)

/* What it is written by: one of these, or what takes its place where the
 * channel has io_uring. */
#define ARCHIVE_BACK_END_TABLE(X)					\
	ARCHIVE_WRITE_TABLE(X)						\
	X(WRITE_BUFFERED_URING, buffered_io_uring)			\
	X(WRITE_DIRECT_URING, direct_io_uring)

enum archive_write {
#define ARCHIVE_WRITE_CONSTANT(constant, name)	constant,
	ARCHIVE_BACK_END_TABLE(ARCHIVE_WRITE_CONSTANT)
#undef ARCHIVE_WRITE_CONSTANT
	ARCHIVE_WRITES
};

static inline enum archive_write
archive_back_end(enum archive_write write, bool uring)
{
	if (uring && write == WRITE_BUFFERED)
		return WRITE_BUFFERED_URING;
	if (uring && write == WRITE_DIRECT)
		return WRITE_DIRECT_URING;
	return write;
}

enum archive_overrun {
	OVERRUN_SHED,
	OVERRUN_BLOCK,
};

enum archive_codec {
	CODEC_NULL,
	CODEC_DEFLATE,
	CODEC_SNAPPY,
	CODEC_ZSTANDARD,
};

/* Where the sender's own number is. */
enum sender_sequence_type {
	SENDER_SEQUENCE_NONE,
	SENDER_SEQUENCE_FIELD,	/* an int or long of the datum program */
	SENDER_SEQUENCE_U8,	/* these at an offset in each datagram */
	SENDER_SEQUENCE_U16LE,
	SENDER_SEQUENCE_U16BE,
	SENDER_SEQUENCE_U32LE,
	SENDER_SEQUENCE_U32BE,
	SENDER_SEQUENCE_U64LE,
	SENDER_SEQUENCE_U64BE,
	SENDER_SEQUENCE_TYPES
};

struct sender_sequence_config {
	uint32_t	type;		/* enum sender_sequence_type */
	uint32_t	at;		/* the field, or the offset in bytes */
};

/* A network: addresses whose first `bits' bits are those of `address'. */
struct source_prefix {
	uint8_t		address[16];	/* v4 as ::ffff:a.b.c.d */
	uint32_t	bits;		/* of 128 */
};

/* What an input is made for, and how it is received from.  The supervisor's
 * reader fills it, and two are compared byte by byte: what is not used is
 * zero. */
struct listen_config {
	struct sockaddr_storage	address;	/* with the port */
	char		interface[IF_NAMESIZE];	/* "": any */
	struct source_prefix source[SOURCES_MAX];
	uint32_t	sources;		/* 0: everybody may send */
	uint8_t		share;			/* others may have it open */
	uint8_t		marked;			/* tells marks of packets */
	uint16_t	one_by_one;		/* nothing is coalesced */
	uint8_t		xdp;			/* by an AF_XDP socket... */
	uint8_t		steer;			/* ...brought by the card to */
	uint16_t	queue;			/* this queue */
	uint16_t	xdp_only;		/* or not at all */
	uint16_t	trust;			/* UDP's checksums are right */
	uint64_t	receive_buffer;		/* bytes */
	uint64_t	coalesce_ns;		/* or COALESCE_AUTO */
	uint64_t	busy_poll_ns;		/* 0: sleep when there is
						 * nothing */
};
_Static_assert(offsetof(struct listen_config, source) ==
    sizeof(struct sockaddr_storage) + IF_NAMESIZE &&
    sizeof(struct listen_config) ==
    offsetof(struct listen_config, one_by_one) + 5 * sizeof(uint16_t) +
    3 * sizeof(uint64_t), "no padding");

/* How the relay thread runs; filled and compared likewise. */
struct run_config {
	int32_t		cpu;		/* -1: any */
	uint32_t	priority;	/* 0 to 20: nice value -priority */
};
_Static_assert(sizeof(struct run_config) == 8, "no padding");

#define URING_DEPTH_MAX		4096

/* What io_uring is used for and how; filled and compared likewise. */
struct uring_config {
	uint32_t	enabled;
	uint32_t	queue_depth;	/* 1 to URING_DEPTH_MAX */
	uint32_t	use_sqpoll;
	int32_t		sq_thread_cpu;	/* -1: any */
	uint32_t	fallback_on_error;
	uint32_t	use_registered_buffers;
};
_Static_assert(sizeof(struct uring_config) == 24, "no padding");

/*
 * All zero: no archive.  The supervisor's reader fills it, the segment has a
 * copy, and two of them are compared byte by byte: no padding, and what is
 * behind the directory's name is zero.
 */
struct archive_config {
	uint32_t	enabled;
	uint32_t	envelope;		/* avro stored as Datagram */
	uint32_t	codec;			/* enum archive_codec */
	uint32_t	sync;			/* enum archive_sync */
	uint32_t	on_overrun;		/* enum archive_overrun */
	uint32_t	write;			/* enum archive_write */
	int32_t		cpu;			/* of its thread; -1: any */
	uint32_t	keep_unforwarded;	/* retain spares these */
	uint64_t	block_size;		/* bytes */
	uint64_t	flush_interval_ns;
	uint64_t	rotate_size;		/* bytes; 0 never */
	uint64_t	rotate_interval_ns;	/* 0 never */
	uint64_t	retain_age_ns;		/* 0: no limit */
	uint64_t	retain_size;		/* bytes; 0: no limit */
	uint64_t	retain_files;		/* 0: no limit */
	uint64_t	min_free;		/* bytes; 0: no limit */
	uint64_t	recycle;		/* spare files; 0: none */
	/* Absolute.  As configured; in a segment the channel's own in it. */
	char		directory[ARCHIVE_DIRECTORY_SIZE];
};
_Static_assert(sizeof(struct archive_config) ==
    offsetof(struct archive_config, directory) + ARCHIVE_DIRECTORY_SIZE &&
    offsetof(struct archive_config, block_size) % sizeof(uint64_t) == 0 &&
    offsetof(struct archive_config, block_size) ==
    offsetof(struct archive_config, keep_unforwarded) + sizeof(uint32_t),
    "no padding");

/* How an output sends: no runs in one message; with the address and port that
 * the datagram came from, by a raw socket (worker/keep_source.h). */
#define OUTPUT_ONE_BY_ONE	1U
#define OUTPUT_KEEP_SOURCE	2U
/* A program in the kernel sends what it can (bpf/kernel_relay.h). */
#define OUTPUT_KERNEL		4U

struct channel_config {
	char		name[CHANNEL_NAME_MAX + 1];
	uint32_t	payload;	/* enum payload_format */
	struct sender_sequence_config sender_sequence;
	uint32_t	log_target;	/* enum log_target */
	int32_t		log_level;	/* syslog priority; may change */
	uint32_t	outputs;
	struct run_config run;
	struct uring_config uring;
	struct {
		char	text[68];	/* address:port, for messages */
		uint32_t way;		/* OUTPUT_..., of these */
		/* By which the kernel's program knows it, and keeps knowing it
		 * when others come and go: it is where `identity' is, which is
		 * a hash of where it sends to. */
		uint32_t slot;
		uint32_t identity;
	} output[OUTPUTS_MAX];
	/* The datagram's number at which the counters began: where they go on
	 * after a change of the configuration, that of the segment before. */
	uint64_t	counted_from;
	/* The inputs are paths of one stream, and how long a datagram waits for
	 * those before it; 0: not merged. */
	uint64_t	merge_window_ns;
	struct archive_config archive;
	/* For a supervisor that takes the segment over: the decimated stream
	 * in each slot of the decimator's page, "": none.  The one thing here
	 * that changes, by the supervisor alone. */
	char		slot[STREAMS_MAX][CHANNEL_NAME_MAX + 1];
	uint64_t	slot_id[STREAMS_MAX];	/* page_stream.id */
};
/* Compared byte by byte as well: each gap that there could be. */
_Static_assert(offsetof(struct channel_config, run) ==
    offsetof(struct channel_config, outputs) + sizeof(uint32_t) &&
    offsetof(struct channel_config, output) ==
    offsetof(struct channel_config, uring) + sizeof(struct uring_config) &&
    offsetof(struct channel_config, counted_from) ==
    offsetof(struct channel_config, output) + OUTPUTS_MAX * 80 &&
    offsetof(struct channel_config, slot) ==
    offsetof(struct channel_config, archive) + sizeof(struct archive_config) &&
    sizeof(struct channel_config) ==
    offsetof(struct channel_config, slot_id) + STREAMS_MAX * sizeof(uint64_t),
    "no padding");

#endif /* MCRELAY_CHANNEL_CONFIG_H */
