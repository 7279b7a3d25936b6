/* SPDX-License-Identifier: ISC */
/*
 * Duties, and those that have a thread of their own.  Worker, any thread.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "common/wake.h"
#include "worker/archive/crew.h"
#include "worker/whose.h"

static void
wait_for(const struct duty *duty, uint64_t at_ns)
{
	uint64_t now = clock_monotonic_ns(), ns = at_ns > now ? at_ns - now :
	    0;
	struct timespec timeout = {.tv_sec = (time_t)(ns / NS_PER_S),
	    .tv_nsec = (long)(ns % NS_PER_S)};
	struct pollfd pollfd[] = {{.fd = duty->wake, .events = POLLIN},
	    {.fd = duty->also, .events = POLLIN}};

	if (ppoll(pollfd, 2, at_ns == DUTY_POSTED ? NULL : &timeout, NULL) >
	    0 && pollfd[0].revents != 0)
		wake_take(duty->wake);
}

static void *
run(void *argument)
{
	struct duty *duty = argument;
	uint64_t at_ns;

	while ((at_ns = duty->step(duty->argument)) != DUTY_OVER)
		if (at_ns != DUTY_AGAIN)
			wait_for(duty, at_ns);
	return NULL;
}

int
duty_start(struct duty *duty, struct crew *crew,
    uint64_t (*step)(void *argument), void *argument)
{
	memset(duty, 0, sizeof(*duty));
	duty->step = step;
	duty->argument = argument;
	duty->crew = crew;
	duty->also = -1;
	if (crew != NULL) {
		duty->whose = whose_entered();
		duty_post(duty);
		return 0;
	}
	duty->wake = wake_open();
	if (duty->wake == -1)
		fatal("eventfd");
	return whose_thread(&duty->thread, run, duty);
}

void
duty_post(struct duty *duty)
{
	if (duty->crew != NULL)
		crew_post(duty->crew, duty);
	else
		wake_post(duty->wake);
}

void
duty_join(struct duty *duty)
{
	if (duty->crew != NULL) {
		crew_join(duty->crew, duty);
		return;
	}
	pthread_join(duty->thread, NULL);
	close(duty->wake);
}
