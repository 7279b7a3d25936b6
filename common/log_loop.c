/* SPDX-License-Identifier: ISC */
/*
 * Sends what waits for syslog.  Supervisor, and the loops of its children.
 */
#include "common/log.h"
#include "common/log_loop.h"

/* While lines wait there is a timer, the slower the longer nobody reads. */
#define FAST_S		.01
#define SLOW_S		1.

static struct ev_prepare	before_sleep;
static struct ev_timer		retry;

static void
on_retry(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	watcher->repeat = log_flush() ? FAST_S :
	    MIN_OF(2. * watcher->repeat, SLOW_S);
	if (log_waits())
		ev_timer_again(loop, watcher);
	else
		ev_timer_stop(loop, watcher);
}

static void
on_sleep(struct ev_loop *loop, ev_prepare *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	if (ev_is_active(&retry) || !log_waits())
		return;
	retry.repeat = FAST_S;
	ev_timer_again(loop, &retry);
}

void
log_loop_start(struct ev_loop *loop)
{
	ev_timer_init(&retry, on_retry, 0., FAST_S);
	ev_prepare_init(&before_sleep, on_sleep);
	ev_prepare_start(loop, &before_sleep);
}
