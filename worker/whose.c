/* SPDX-License-Identifier: ISC */
/*
 * Whose work a thread does.  Worker, any thread.
 */
#include <signal.h>
#include <stdlib.h>

#include "common/util.h"
#include "worker/last_words.h"
#include "worker/whose.h"

static _Atomic(struct whose *)		 all[WHOSE_MAX];
static _Atomic(struct whose *)		 in_loop;
static _Thread_local struct whose	*entered;
static _Thread_local bool		 is_loop;

/* What a thread begins with. */
struct beginning {
	void		*(*run)(void *);
	void		*argument;
	struct whose	*whose;
};

void
whose_add(struct whose *whose)
{
	struct whose *none;
	unsigned i;

	for (i = 0; i < WHOSE_MAX; i++) {
		none = NULL;
		if (atomic_compare_exchange_strong(&all[i], &none, whose))
			return;
	}
}

void
whose_remove(struct whose *whose)
{
	struct whose *it;
	unsigned i;

	for (i = 0; i < WHOSE_MAX; i++) {
		it = whose;
		if (atomic_compare_exchange_strong(&all[i], &it, NULL))
			return;
	}
}

struct whose *
whose_at(unsigned i)
{
	return atomic_load(&all[i]);
}

void
whose_enter(struct whose *whose)
{
	if (entered == whose)
		return;
	/* A kill leaves no words: whose turn it was is in the segment. */
	if (entered != NULL && is_loop)
		atomic_store_explicit(&entered->state->working, 0,
		    memory_order_relaxed);
	if (whose != NULL && is_loop)
		atomic_store_explicit(&whose->state->working, 1,
		    memory_order_relaxed);
	if (is_loop)
		atomic_store_explicit(&in_loop, whose, memory_order_relaxed);
	entered = whose;
	log_as(whose != NULL && whose->voice.tag != NULL ? &whose->voice :
	    NULL);
}

struct whose *
whose_entered(void)
{
	return entered;
}

struct whose *
whose_in_loop(void)
{
	return atomic_load_explicit(&in_loop, memory_order_relaxed);
}

void
whose_loop(void)
{
	is_loop = true;
}

static void *
begin(void *argument)
{
	struct beginning beginning = *(struct beginning *)argument;

	free(argument);
	last_words_thread();
	whose_enter(beginning.whose);
	return beginning.run(beginning.argument);
}

int
whose_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
	struct beginning *beginning = xcalloc(1, sizeof(*beginning));
	sigset_t all_signals, before;
	int error;

	*beginning = (struct beginning){run, argument, entered};
	sigfillset(&all_signals);
	last_words_let_through(&all_signals);
	pthread_sigmask(SIG_BLOCK, &all_signals, &before);
	error = pthread_create(thread, NULL, begin, beginning);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		free(beginning);
	return error;
}
