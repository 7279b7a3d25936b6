/* SPDX-License-Identifier: ISC */
/*
 * Threads that do pieces of work in order.  mcrelay-verify.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/verify/verify.h"

#define MOMENT_NS	(100 * NS_PER_MS)

struct crew {
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	void		(*work)(void *argument, size_t piece);
	void		*argument;
	size_t		 pieces;
	size_t		 ahead;
	size_t		 next;		/* to be begun */
	size_t		 taken;
	bool		*done;		/* of piece i: at i % ahead */
	unsigned	 threads;
	pthread_t	 thread[];
};

/* False: there is none any more. */
static bool
begin_piece(struct crew *crew, size_t *piece)
{
	bool left;

	pthread_mutex_lock(&crew->lock);
	while (crew->next < crew->pieces &&
	    crew->next - crew->taken >= crew->ahead)
		pthread_cond_wait(&crew->changed, &crew->lock);
	left = crew->next < crew->pieces;
	*piece = left ? crew->next++ : 0;
	pthread_mutex_unlock(&crew->lock);
	return left;
}

static void *
run(void *argument)
{
	struct crew *crew = argument;
	size_t piece;

	while (begin_piece(crew, &piece)) {
		crew->work(crew->argument, piece);
		pthread_mutex_lock(&crew->lock);
		crew->done[piece % crew->ahead] = true;
		pthread_cond_broadcast(&crew->changed);
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

struct crew *
crew_begin(unsigned threads, size_t pieces, size_t ahead,
    void (*work)(void *argument, size_t piece), void *argument)
{
	struct crew *crew = xcalloc(1, sizeof(*crew) +
	    threads * sizeof(crew->thread[0]));
	pthread_condattr_t monotonic;

	pthread_mutex_init(&crew->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&crew->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	crew->work = work;
	crew->argument = argument;
	crew->pieces = pieces;
	crew->ahead = ahead;
	crew->done = xcalloc(ahead, sizeof(*crew->done));
	while (crew->threads < threads && pthread_create(
	    &crew->thread[crew->threads], NULL, run, crew) == 0)
		crew->threads++;
	if (crew->threads == 0)
		fatalx("cannot start a thread");
	return crew;
}

bool
crew_wait(struct crew *crew)
{
	const uint64_t until_ns = clock_monotonic_ns() + MOMENT_NS;
	const struct timespec until = {
		.tv_sec = (time_t)(until_ns / NS_PER_S),
		.tv_nsec = (long)(until_ns % NS_PER_S),
	};
	const bool *done = &crew->done[crew->taken % crew->ahead];
	int waited = 0;
	bool is;

	pthread_mutex_lock(&crew->lock);
	while (!*done && waited == 0)
		waited = pthread_cond_timedwait(&crew->changed, &crew->lock,
		    &until);
	is = *done;
	pthread_mutex_unlock(&crew->lock);
	return is;
}

void
crew_taken(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	crew->done[crew->taken % crew->ahead] = false;
	crew->taken++;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
}

void
crew_end(struct crew *crew)
{
	for (unsigned i = 0; i < crew->threads; i++)
		pthread_join(crew->thread[i], NULL);
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew->done);
	free(crew);
}
