/* SPDX-License-Identifier: ISC */
/*
 * Writes and reads what the handoff says of health.  See handoff_health.h.
 * Supervisor only.  All members are numbers or flags; one that is missing is 0.
 */
#include <stdlib.h>

#include "common/util.h"
#include "supervisor/handoff_health.h"
#include "supervisor/supervisor.h"

static json_t *
count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static uint64_t
get_count(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

/*** Writing. ***/

/* By name: another image may have others. */
json_t *
health_reasons(const struct channel *channel)
{
	const struct reasons *reasons = &channel->reasons;
	json_t *object = json_object();
	unsigned i;

	for (i = 0; i < REASONS; i++)
		json_object_set_new(object, reason_table[i].name,
		    json_pack("{s:b, s:o, s:i, s:o}",
		    "lasts", reasons->of[i].lasts,
		    "since_ns", count(reasons->of[i].since_ns),
		    "hold", (int)reasons->of[i].hold,
		    "seen", count(reasons->of[i].seen)));
	return object;
}

json_t *
health_silence(const struct channel *channel)
{
	const struct silence *silence = &channel->silence;

	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:i}",
	    "stale", silence->stale,
	    "seen_ns", count(silence->seen_ns),
	    "seen_at_ns", count(silence->seen_at_ns),
	    "next_ns", count(silence->rejoin.next_ns),
	    "distance_ns", count(silence->rejoin.distance_ns),
	    "count", (int)silence->rejoin.count);
}

json_t *
health_queriers(const struct querier *querier)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < querier->links; i++)
		json_array_append_new(array, json_pack(
		    "{s:i, s:i, s:o, s:o, s:b}",
		    "index", querier->link[i].index,
		    "family", querier->link[i].family,
		    "since_ns", count(querier->link[i].since_ns),
		    "heard_ns", count(querier->link[i].heard_ns),
		    "missing", querier->link[i].missing));
	return array;
}

/*** Reading. ***/

static void
get_reasons(struct reasons *reasons, const json_t *object)
{
	const json_t *each;
	unsigned i;

	/* A counter that is not told might seem to have risen. */
	reasons->known = json_object_size(object) > 0;
	for (i = 0; i < REASONS; i++) {
		each = json_object_get(object, reason_table[i].name);
		reasons->known = reasons->known && each != NULL;
		reasons->of[i].lasts = json_is_true(json_object_get(each,
		    "lasts"));
		reasons->of[i].since_ns = get_count(each, "since_ns");
		reasons->of[i].hold = (unsigned)MIN_OF(get_count(each,
		    "hold"), (uint64_t)REASON_HOLD_S);
		reasons->of[i].seen = get_count(each, "seen");
	}
	reasons->unsettled = REASON_SETTLE_S;
}

void
health_get(struct inherited *inherited, const json_t *reasons,
    const json_t *silence)
{
	get_reasons(&inherited->reasons, reasons);
	inherited->silence = (struct silence){
		.stale = json_is_true(json_object_get(silence, "stale")),
		.seen_ns = get_count(silence, "seen_ns"),
		.seen_at_ns = get_count(silence, "seen_at_ns"),
		.rejoin = {
			.next_ns = get_count(silence, "next_ns"),
			.distance_ns = get_count(silence, "distance_ns"),
			.count = (unsigned)get_count(silence, "count"),
		},
	};
}

void
health_get_queriers(struct inheritance *inheritance, const json_t *queriers)
{
	const json_t *each;
	size_t i;

	inheritance->queriers = json_array_size(queriers);
	inheritance->querier = xcalloc(inheritance->queriers + 1,
	    sizeof(*inheritance->querier));
	for (i = 0; i < inheritance->queriers; i++) {
		each = json_array_get(queriers, i);
		inheritance->querier[i] = (struct querier_link){
			.index = (int)get_count(each, "index"),
			.family = (int)get_count(each, "family"),
			.since_ns = get_count(each, "since_ns"),
			.heard_ns = get_count(each, "heard_ns"),
			.missing = json_is_true(json_object_get(each,
			    "missing")),
		};
	}
}
