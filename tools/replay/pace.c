/* SPDX-License-Identifier: ISC */
/*
 * When records are due.  mcrelay-replay.
 */
#include "common/util.h"
#include "tools/common/records.h"
#include "tools/replay/replay.h"

void
pace_begin(struct pace *pace, double speed, uint64_t rate, uint64_t pause_ns)
{
	const double recorded = (double)pause_ns * speed;

	*pace = (struct pace){
		.speed = speed,
		.rate = rate,
		.pause_ns = recorded < (double)UINT64_MAX ?
		    (uint64_t)recorded : UINT64_MAX,
		.last_ns = RECORDS_NO_TIME,
	};
}

static void
advance(struct pace *pace, int64_t time_ns)
{
	if (time_ns == RECORDS_NO_TIME)
		return;
	/* Both within 63 bits: the distance fits 64. */
	if (pace->last_ns != RECORDS_NO_TIME && time_ns > pace->last_ns)
		pace->elapsed_ns += MIN_OF((uint64_t)time_ns -
		    (uint64_t)pace->last_ns, pace->pause_ns);
	pace->last_ns = time_ns;
}

uint64_t
pace_next(struct pace *pace, int64_t time_ns)
{
	const uint64_t number = pace->count++;

	if (pace->rate != 0)
		return (uint64_t)((unsigned __int128)number * NS_PER_S /
		    pace->rate);
	advance(pace, time_ns);
	if (pace->speed <= 0)
		return 0;
	if (pace->speed >= 1 && pace->speed <= 1)
		return pace->elapsed_ns;
	return (uint64_t)((double)pace->elapsed_ns / pace->speed);
}

void
pace_cut(struct pace *pace)
{
	pace->last_ns = RECORDS_NO_TIME;
}
