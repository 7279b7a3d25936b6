/* SPDX-License-Identifier: ISC */
/*
 * Threads that do the steps of duties.  Worker: its threads, one that starts
 * these, and who posts.  Must not wait with the mutex held, nor have who posts
 * wait for it: that may be a relay's thread.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/archive/crew.h"
#include "worker/whose.h"

struct crew {
	void			(*enter)(void);
	/* Posted last, and by it those before. */
	_Atomic(struct duty *)	 posted;
	_Atomic uint32_t	 posts;		/* a futex: how many, ever */
	_Atomic uint32_t	 sleepers;	/* threads that wait for one */
	pthread_mutex_t		 mutex;
	pthread_cond_t		 ended;		/* a step has */
	pthread_cond_t		 all_busy;	/* for who starts them */
	STAILQ_HEAD(, duty)	 ready;
	TAILQ_HEAD(, duty)	 running;	/* the oldest first */
	struct duty		**timer;	/* a heap, the first on top */
	size_t			 timers;
	size_t			 timer_room;
	uint64_t		 wake_at_ns;	/* a sleeper does by itself */
	unsigned		 size;
	unsigned		 threads;
	bool			 dozing;	/* the one that starts them */
};

/*** Timers. ***/

static void
place(struct crew *crew, size_t at, struct duty *duty)
{
	crew->timer[at] = duty;
	duty->timer = at + 1;
}

static void
sift_up(struct crew *crew, size_t at, struct duty *duty)
{
	size_t above;

	for (; at > 0; at = above) {
		above = (at - 1) / 2;
		if (crew->timer[above]->at_ns <= duty->at_ns)
			break;
		place(crew, at, crew->timer[above]);
	}
	place(crew, at, duty);
}

static void
sift_down(struct crew *crew, size_t at, struct duty *duty)
{
	size_t below;

	for (; (below = 2 * at + 1) < crew->timers; at = below) {
		if (below + 1 < crew->timers && crew->timer[below + 1]->at_ns <
		    crew->timer[below]->at_ns)
			below++;
		if (duty->at_ns <= crew->timer[below]->at_ns)
			break;
		place(crew, at, crew->timer[below]);
	}
	sift_up(crew, at, duty);
}

static void
timer_add(struct crew *crew, struct duty *duty, uint64_t at_ns)
{
	if (crew->timers == crew->timer_room) {
		crew->timer_room = 2 * crew->timer_room + 16;
		crew->timer = xrealloc(crew->timer, crew->timer_room *
		    sizeof(struct duty *));
	}
	duty->at_ns = at_ns;
	sift_up(crew, crew->timers++, duty);
}

static void
timer_remove(struct crew *crew, struct duty *duty)
{
	size_t at = duty->timer - 1;
	struct duty *last;

	if (duty->timer == 0)
		return;
	duty->timer = 0;
	last = crew->timer[--crew->timers];
	if (last != duty)
		sift_down(crew, at, last);
}

static uint64_t
first_timer(const struct crew *crew)
{
	return crew->timers > 0 ? crew->timer[0]->at_ns : UINT64_MAX;
}

/*** What is ready. ***/

static void
wake_one(struct crew *crew)
{
	/* Partner: sleep_once(), which has counted itself before it looks at
	 * what is posted. */
	atomic_fetch_add_explicit(&crew->posts, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&crew->sleepers, memory_order_seq_cst) > 0)
		(void)syscall(SYS_futex, &crew->posts, FUTEX_WAKE_PRIVATE, 1,
		    NULL, NULL, 0);
}

void
crew_post(struct crew *crew, struct duty *duty)
{
	/* Partner: the exchange in collect(): a step that begins after that
	 * sees what was done before. */
	if (atomic_exchange_explicit(&duty->posted, true,
	    memory_order_acq_rel))
		return;
	duty->posted_before = atomic_load_explicit(&crew->posted,
	    memory_order_relaxed);
	/* Partner: the acquire in collect(). */
	while (!atomic_compare_exchange_weak_explicit(&crew->posted,
	    &duty->posted_before, duty, memory_order_release,
	    memory_order_relaxed))
		;
	wake_one(crew);
}

static void
make_ready(struct crew *crew, struct duty *duty)
{
	timer_remove(crew, duty);
	duty->ready = true;
	STAILQ_INSERT_TAIL(&crew->ready, duty, entry);
}

/* What was posted, in its order, and then whose time has come. */
static void
collect(struct crew *crew)
{
	struct duty *duty, *next, *first = NULL;
	uint64_t now;

	/* Partner: the release in crew_post(). */
	duty = atomic_exchange_explicit(&crew->posted, NULL,
	    memory_order_acquire);
	for (; duty != NULL; duty = next) {
		next = duty->posted_before;
		duty->posted_before = first;
		first = duty;
	}
	for (duty = first; duty != NULL; duty = next) {
		next = duty->posted_before;
		/* Partner: the exchange in crew_post().  Not later: who is on
		 * the list must not be put there again. */
		(void)atomic_exchange_explicit(&duty->posted, false,
		    memory_order_acq_rel);
		if (duty->running)
			duty->again = true;
		else if (!duty->ready && !duty->over)
			make_ready(crew, duty);
	}
	if (crew->timers == 0)
		return;
	now = clock_monotonic_ns();
	while (first_timer(crew) <= now)
		make_ready(crew, crew->timer[0]);
}

static void
begin(struct crew *crew, struct duty *duty)
{
	STAILQ_REMOVE(&crew->ready, duty, duty, entry);
	duty->ready = false;
	duty->running = true;
	duty->since_ns = clock_monotonic_ns();
	TAILQ_INSERT_TAIL(&crew->running, duty, at_work);
}

/* Does a step of one that is ready, without the mutex. */
static void
work(struct crew *crew, struct duty *duty)
{
	struct whose *before = whose_entered();
	uint64_t at_ns;

	begin(crew, duty);
	pthread_mutex_unlock(&crew->mutex);
	whose_enter(duty->whose);
	at_ns = duty->step(duty->argument);
	whose_enter(before);
	pthread_mutex_lock(&crew->mutex);
	/* What was posted meanwhile is this one's last chance to be seen. */
	collect(crew);
	duty->running = false;
	TAILQ_REMOVE(&crew->running, duty, at_work);
	if (at_ns == DUTY_OVER)
		duty->over = true;
	else if (duty->again || at_ns == DUTY_AGAIN)
		make_ready(crew, duty);
	else if (at_ns != DUTY_POSTED)
		timer_add(crew, duty, at_ns);
	duty->again = false;
	pthread_cond_broadcast(&crew->ended);
}

void
crew_join(struct crew *crew, struct duty *duty)
{
	pthread_mutex_lock(&crew->mutex);
	while (!duty->over) {
		collect(crew);
		if (duty->running) {
			pthread_cond_wait(&crew->ended, &crew->mutex);
			continue;
		}
		if (!duty->ready)
			make_ready(crew, duty);
		work(crew, duty);
	}
	/* Its memory may go: nothing refers to it. */
	collect(crew);
	pthread_mutex_unlock(&crew->mutex);
}

/*** Its threads. ***/

/* How many have been at their step for too long. */
static unsigned
hung(const struct crew *crew)
{
	uint64_t now = clock_monotonic_ns();
	const struct duty *duty;
	unsigned n = 0;

	TAILQ_FOREACH(duty, &crew->running, at_work) {
		if (now - duty->since_ns < CREW_HUNG_NS)
			break;
		n++;
	}
	return n;
}

/* Until something is posted, or the first timer is due. */
static void
sleep_once(struct crew *crew)
{
	uint32_t posts = atomic_load_explicit(&crew->posts,
	    memory_order_seq_cst);
	uint64_t at_ns = first_timer(crew), now, ns;
	struct timespec timeout;

	/* Partner: wake_one(). */
	atomic_fetch_add_explicit(&crew->sleepers, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&crew->posted, memory_order_seq_cst) ==
	    NULL) {
		crew->wake_at_ns = MIN_OF(crew->wake_at_ns, at_ns);
		pthread_mutex_unlock(&crew->mutex);
		now = clock_monotonic_ns();
		ns = at_ns > now ? at_ns - now : 0;
		timeout = (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
		    .tv_nsec = (long)(ns % NS_PER_S)};
		(void)syscall(SYS_futex, &crew->posts, FUTEX_WAIT_PRIVATE,
		    posts, at_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
		pthread_mutex_lock(&crew->mutex);
		/* Who still sleeps sets it anew when it matters. */
		crew->wake_at_ns = UINT64_MAX;
	}
	atomic_fetch_sub_explicit(&crew->sleepers, 1, memory_order_seq_cst);
}

/* Before a thread goes to work for who knows how long: another one sees to
 * what else is ready, and to what will be. */
static void
leave_to_others(struct crew *crew)
{
	if (atomic_load_explicit(&crew->sleepers, memory_order_relaxed) == 0) {
		if (crew->dozing)
			pthread_cond_signal(&crew->all_busy);
		crew->dozing = false;
	} else if (STAILQ_NEXT(STAILQ_FIRST(&crew->ready), entry) != NULL ||
	    first_timer(crew) < crew->wake_at_ns)
		wake_one(crew);
}

/* Before a thread ends that is one too many: those who sleep have not seen
 * what its last step has left. */
static void
leave_rest(struct crew *crew)
{
	if (!STAILQ_EMPTY(&crew->ready) ||
	    first_timer(crew) < crew->wake_at_ns)
		wake_one(crew);
}

static void *
run(void *argument)
{
	struct crew *crew = argument;

	if (crew->enter != NULL)
		crew->enter();
	pthread_mutex_lock(&crew->mutex);
	while (crew->threads <= crew->size + hung(crew)) {
		collect(crew);
		if (STAILQ_EMPTY(&crew->ready)) {
			sleep_once(crew);
			continue;
		}
		leave_to_others(crew);
		work(crew, STAILQ_FIRST(&crew->ready));
	}
	leave_rest(crew);
	crew->threads--;
	pthread_mutex_unlock(&crew->mutex);
	return NULL;
}

static void
start_thread(struct crew *crew)
{
	pthread_t thread;
	int error = whose_thread(&thread, run, crew);

	if (error != 0) {
		log_warnx("cannot start another thread for archives: %s",
		    strerror(error));
		return;
	}
	pthread_detach(thread);
	crew->threads++;
}

/* Sleeps while a thread is free; else looks again and again whether one hangs
 * while something is to be done. */
static void
wait_for_hung(struct crew *crew)
{
	struct timespec until;

	if (atomic_load_explicit(&crew->sleepers, memory_order_relaxed) > 0) {
		crew->dozing = true;
		pthread_cond_wait(&crew->all_busy, &crew->mutex);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)CREW_HUNG_NS;
	until.tv_sec += until.tv_nsec / (long)NS_PER_S;
	until.tv_nsec %= (long)NS_PER_S;
	pthread_cond_timedwait(&crew->all_busy, &crew->mutex, &until);
}

/* A thread that starts the others: they may not. */
static void *
manage(void *argument)
{
	struct crew *crew = argument;

	pthread_mutex_lock(&crew->mutex);
	for (;;) {
		while (crew->threads < crew->size)
			start_thread(crew);
		wait_for_hung(crew);
		collect(crew);
		if (!STAILQ_EMPTY(&crew->ready) &&
		    crew->threads < crew->size + hung(crew))
			start_thread(crew);
	}
	return NULL;
}

struct crew *
crew_new(unsigned size, void (*enter)(void))
{
	struct crew *crew = xcalloc(1, sizeof(*crew));
	pthread_condattr_t monotonic;
	pthread_t thread;
	int error;

	crew->enter = enter;
	crew->size = size;
	crew->wake_at_ns = UINT64_MAX;
	STAILQ_INIT(&crew->ready);
	TAILQ_INIT(&crew->running);
	pthread_mutex_init(&crew->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&crew->ended, &monotonic);
	pthread_cond_init(&crew->all_busy, &monotonic);
	pthread_condattr_destroy(&monotonic);
	error = whose_thread(&thread, manage, crew);
	if (error != 0)
		fatalx("cannot start the archives' threads: %s",
		    strerror(error));
	pthread_detach(thread);
	return crew;
}

void
crew_resize(struct crew *crew, unsigned size)
{
	pthread_mutex_lock(&crew->mutex);
	crew->size = size;
	pthread_cond_signal(&crew->all_busy);
	pthread_mutex_unlock(&crew->mutex);
}
