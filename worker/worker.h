/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-worker: one channel, or those that share it (host.h).  Two threads
 * that share nothing but the ring: this one receives, commits and sends; the
 * archive thread stores.
 */
#ifndef MCRELAY_WORKER_H
#define MCRELAY_WORKER_H

#include <ev.h>
#include <stdbool.h>

#include "common/datum.h"
#include "common/segment.h"
#include "worker/archive/archive.h"
#include "worker/ingest.h"
#include "worker/relay.h"
#include "worker/whose.h"

enum worker_ending {
	WORKER_RUNNING,
	WORKER_ROLLING,		/* TERM: finish the files, then exit */
	WORKER_STOPPING,	/* the same, and receive no more */
};

/* As many as the supervisor gives a channel, and what its log lines go to. */
#define WORKER_FDS_MAX	(OUTPUTS_MAX + INPUTS_MAX + 5)

struct host_channel;

struct worker {
	struct ev_loop		*loop;
	struct whose		 whose;
	int			 fd[WORKER_FDS_MAX]; /* enum worker_fd, from
						      * the first one on */
	struct host_channel	*hosted;	/* NULL: alone in its process */
	bool			 shares_loop;	/* with other channels */
	struct segment		 segment;
	struct datum_program	*program;	/* NULL: raw */
	int			 directory;	/* -1: no archive */
	int			 decimator_wake; /* the decimator's eventfd */
	const int		*more_inputs;	/* all but the first */
	uint32_t		 sandbox;	/* enum sandbox_part */
	enum worker_ending	 ending;
	bool			 orphaned;	/* without supervisor */
	bool			 gated;		/* waits for the archive */
	bool			 draining;	/* the same, before it ends */
	uint64_t		 drain_until_ns; /* unless there is room */
	uint64_t		 drain_pause_ns; /* of what comes meanwhile */
	uint64_t		 drain_most_ns;
	uint64_t		 stopped_at_ns;	/* realtime */
	uint64_t		 shared_at;	/* archive's position then */
	unsigned		 shared;	/* turns offered to it there */
	struct ingest_hub	*hub;		/* its loop's; NULL: none */
	struct ingest_ring	*ring;		/* NULL: by sockets */
	struct ingest_frames	*frames;	/* NULL: not by AF_XDP */
	struct disk_ring	*disk_ring;	/* NULL: by system calls */
	struct ingest		 ingest;
	struct relay		 relay;
	struct archive		 archive;
	ev_io			 input[INPUTS_MAX];
	unsigned		 next;	/* to be polled, of several */
	unsigned		 behind; /* turns that left something */
	uint64_t		 busy_poll_ns;	/* the longest of all */
	ev_io			 output[OUTPUTS_MAX];	/* to be writable */
	ev_io			 messages;
	ev_timer		 drops;		/* while there is traffic */
	ev_timer		 merge;		/* while something waits */
	ev_async		 archive_note;	/* look at it, or drain on */
	ev_timer		 ended;		/* of a shared worker: never
						 * starts, but is fed */
	ev_signal		 term;
	ev_signal		 hup;
	ev_signal		 usr1;
};

/* Runs the channel whose descriptors are as enum worker_fd says; returns the
 * exit status. */
int	worker_main(int argc, char **argv);

#endif /* MCRELAY_WORKER_H */
