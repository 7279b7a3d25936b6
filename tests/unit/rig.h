/* SPDX-License-Identifier: ISC */
/*
 * A stand-in for the supervisor in tests of the worker: one channel with
 * sockets on loopback, a segment and an archive directory, and real worker
 * processes that can be killed.
 */
#ifndef MCRELAY_TEST_RIG_H
#define MCRELAY_TEST_RIG_H

#include <sys/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/inputs.h"
#include "common/segment.h"

struct rig {
	struct segment		segment;
	char			directory[64];	/* temporary */
	int			input;
	struct sockaddr_in	input_address;
	int			output;		/* connected to sink */
	int			sink;		/* what the relay sends */
	int			source;		/* connected to input */
	/* Of a spec with two inputs, the second one; else -1. */
	int			second;
	struct sockaddr_in	second_address;
	int			second_source;
	struct listen_config	listen[2];	/* then, as in the segment */
	int			directory_fd;
	int			decimator_wake;
	bool			shared;		/* as one of a process that
						 * channels share: may be set */
	int			control;	/* our end; -1: no worker */
	pid_t			pid;
};

/* `spec' may preset config, ring_size and inputs; the rest is filled in. */
void	rig_open(struct rig *rig, struct segment_spec *spec);
/* Kills a worker that is left, removes the directory. */
void	rig_close(struct rig *rig);

/* Starts a worker and waits until it is ready. */
void	rig_start(struct rig *rig);
/* Forks a worker that waits for one byte on the descriptor that is returned
 * before it does anything; it is not waited for to be ready. */
int	rig_fork(struct rig *rig);
/* For rig.c: in the child; never returns. */
void	rig_run_worker(const struct rig *rig, int control);
/* SIGKILL, and waits for the end. */
void	rig_kill(struct rig *rig);
/* Tells the rig that its worker has been killed and reaped. */
void	rig_forget(struct rig *rig);
/* Ends the worker by a signal, or, with 0, by MESSAGE_STOP; returns its wait
 * status. */
int	rig_stop(struct rig *rig, int signal_number);

void	rig_send(struct rig *rig, const void *data, size_t size);
/* The same to the second input. */
void	rig_send_second(struct rig *rig, const void *data, size_t size);
/* Waits (bounded) until the worker has received so many datagrams. */
void	rig_wait_received(struct rig *rig, uint64_t count);
/* Waits (bounded) until nothing is pending and all is relayed. */
void	rig_wait_settled(struct rig *rig);
/* Waits (bounded) until a file is written so, as far as it can be here. */
void	rig_wait_way(struct rig *rig, enum archive_write how, bool uring);
/* Asserts the identities of ledger.h. */
void	rig_check_ledger(struct rig *rig, uint64_t sent);

/* Calls `visit' for each Datagram record of the finished files of a stream
 * ("" or ".rejected"), in the order of their names; returns how many files. */
unsigned	rig_read_archive(struct rig *rig, const char *stream,
		    void (*visit)(void *argument, uint64_t sequence,
		    const char *source, const uint8_t *payload, size_t size),
		    void *argument);
/* Of the record that is visited; "": it has none. */
extern char	rig_destination[INPUT_TEXT_SIZE];
/* Waits until so many finished files are there. */
void	rig_wait_files(struct rig *rig, unsigned count);
/* Files in the directory whose names end in `suffix'. */
unsigned	rig_count_files(struct rig *rig, const char *suffix);
/* Asserts that each finished file has one line in the catalogue, and nothing
 * else has, and that each was told once. */
void	rig_check_catalog(struct rig *rig);

#endif /* MCRELAY_TEST_RIG_H */
