/* SPDX-License-Identifier: ISC */
/*
 * The thread that compares passwords.  mcrelay-web only.
 */
#ifdef HAVE_CRYPT
#include <sys/resource.h>
#include <crypt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/util.h"
#include "web/basic.h"
#include "web/hasher.h"

/* As low as it gets: workers go first. */
#define NICE	19

/* One side at a time has all of it: the loop's until `given' is posted, the
 * thread's until `async' is sent.  There is no lock that a thread which seldom
 * runs could keep the loop from. */
static struct {
	struct ev_loop	*loop;
	hasher_done	*done;
	ev_async	 async;		/* the thread is done */
	sem_t		 given;
	const char	*hash;
	char		 password[BASIC_PASSWORD_SIZE];
	bool		 same;
	uint64_t	 took_ns;
} hasher;

/* However many bytes are the same, that takes as long. */
static bool
is_same(const char *a, const char *b)
{
	size_t size = strlen(b), i;
	volatile unsigned char difference = 0;

	if (a == NULL || strlen(a) != size)
		return false;
	for (i = 0; i < size; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

/* What this thread has used. */
static uint64_t
processor_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void
compare(struct crypt_data *data)
{
	uint64_t began = processor_ns();

	hasher.same = is_same(crypt_r(hasher.password, hasher.hash, data),
	    hasher.hash);
	explicit_bzero(hasher.password, sizeof(hasher.password));
	explicit_bzero(data, sizeof(*data));
	hasher.took_ns = processor_ns() - began;
	ev_async_send(hasher.loop, &hasher.async);
}

static void *
run(void *argument ATTR_UNUSED)
{
	static struct crypt_data data;

	(void)setpriority(PRIO_PROCESS, 0, NICE);
	for (;;)
		if (sem_wait(&hasher.given) == 0)
			compare(&data);
	return NULL;
}

static void
on_async(struct ev_loop *loop ATTR_UNUSED, ev_async *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	hasher.done(hasher.same, hasher.took_ns);
}

void
hasher_init(struct ev_loop *loop, hasher_done *done)
{
	hasher.loop = loop;
	hasher.done = done;
	(void)sem_init(&hasher.given, 0, 0);
	ev_async_init(&hasher.async, on_async);
	ev_async_start(loop, &hasher.async);
}

void
hasher_start(void)
{
	sigset_t all, old;
	pthread_t thread;
	int error;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0)
		fatalx("cannot start a thread: %s", strerror(error));
	pthread_detach(thread);
}

void
hasher_compare(const char *hash, const char *password)
{
	hasher.hash = hash;
	memcpy(hasher.password, password, strlen(password) + 1);
	(void)sem_post(&hasher.given);
}
#else
#include "web/hasher.h"

/* There are no users: nobody is asked. */
void
hasher_init(struct ev_loop *loop ATTR_UNUSED, hasher_done *done ATTR_UNUSED)
{
}

void
hasher_start(void)
{
}

void
hasher_compare(const char *hash ATTR_UNUSED, const char *password ATTR_UNUSED)
{
}
#endif /* HAVE_CRYPT */
