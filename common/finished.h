/* SPDX-License-Identifier: ISC */
/*
 * Finished files, told by a worker to the supervisor: the last lines that it
 * added to the catalogue, in the segment.  One writer, the worker's catalogue
 * (under its mutex); one reader, the supervisor, who looks once a second and
 * when a worker has ended.  Neither waits for the other: lines that nobody has
 * read in time are overwritten, and the reader counts them.
 *
 * A line is told once, wherever its worker is killed: it is laid down before
 * it is added to the catalogue, and published after.  A successor that finds
 * one laid down and not published looks whether the catalogue has it.
 *
 * What is in here may hold anything, and change at any time.
 */
#ifndef MCRELAY_FINISHED_H
#define MCRELAY_FINISHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/compiler.h"

/* One is being laid down: so many less one can be read. */
#define FINISHED_LINES		16U
/* As a line of the catalogue, with its newline and NUL. */
#define FINISHED_LINE_SIZE	2048U

struct finished {
	_Atomic uint64_t	published;	/* lines, ever */
	/* The number of the line that is laid down, from 1; of one that is
	 * published already it says nothing. */
	_Atomic uint64_t	laid;
	_Atomic uint64_t	read;		/* the supervisor's */
	_Atomic uint64_t	line[FINISHED_LINES][FINISHED_LINE_SIZE /
				    sizeof(uint64_t)];
};

/* The next line: no other begins before finished_publish(). */
static inline void
finished_lay(struct finished *finished, const char *line)
{
	uint64_t number = atomic_load_explicit(&finished->published,
	    memory_order_relaxed), word;
	size_t size = strlen(line), at;
	_Atomic uint64_t *to = finished->line[number % FINISHED_LINES];

	if (size > FINISHED_LINE_SIZE - 1)
		size = FINISHED_LINE_SIZE - 1;
	/* Partner: the acquire fence in finished_copy(): who sees a word of
	 * this line sees that the one before it here is gone. */
	atomic_thread_fence(memory_order_release);
	for (at = 0; at <= size; at += sizeof(word)) {
		word = 0;
		memcpy(&word, line + at, size - at < sizeof(word) ?
		    size - at : sizeof(word));
		atomic_store_explicit(to++, word, memory_order_relaxed);
	}
	/* Partner: process death, and the successor's finished_laid(). */
	atomic_store_explicit(&finished->laid, number + 1,
	    memory_order_release);
}

static inline void
finished_publish(struct finished *finished)
{
	/* Partner: the acquire in finished_count(). */
	atomic_store_explicit(&finished->published, atomic_load_explicit(
	    &finished->published, memory_order_relaxed) + 1,
	    memory_order_release);
}

/* How many lines there have been. */
static inline uint64_t
finished_count(const struct finished *finished)
{
	return atomic_load_explicit(&finished->published,
	    memory_order_acquire);
}

/* Copies the line of this number, from 0.  False: it has been overwritten. */
static inline bool
finished_copy(const struct finished *finished, uint64_t number,
    char line[static FINISHED_LINE_SIZE])
{
	const _Atomic uint64_t *from =
	    finished->line[number % FINISHED_LINES];
	uint64_t word;
	size_t i;

	for (i = 0; i < FINISHED_LINE_SIZE / sizeof(word); i++) {
		word = atomic_load_explicit(&from[i], memory_order_relaxed);
		memcpy(line + i * sizeof(word), &word, sizeof(word));
	}
	line[FINISHED_LINE_SIZE - 1] = '\0';
	/* Partner: the release fence in finished_lay(). */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&finished->published,
	    memory_order_relaxed) - number < FINISHED_LINES;
}

/* The line that a predecessor has laid down and not published; false: none.
 * Before any other is laid down. */
static inline bool
finished_laid(const struct finished *finished,
    char line[static FINISHED_LINE_SIZE])
{
	uint64_t number = finished_count(finished);

	return atomic_load_explicit(&finished->laid, memory_order_acquire) ==
	    number + 1 && finished_copy(finished, number, line);
}

#endif /* MCRELAY_FINISHED_H */
