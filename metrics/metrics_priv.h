/* SPDX-License-Identifier: ISC */
/*
 * What the files of metrics.h share.
 */
#ifndef MCRELAY_METRICS_PRIV_H
#define MCRELAY_METRICS_PRIV_H

#include <stdio.h>

#include "metrics/exposition.h"
#include "metrics/metrics.h"

/* A channel, and what of it every sample needs: looking that up takes longer
 * than the sample. */
struct chosen {
	const json_t	*json;
	const char	*name;
	const json_t	*ledger;	/* NULL: none */
};

/* A status on its way to text. */
struct walk {
	struct exposition	 out;
	const json_t		*status;
	struct chosen		*channel;	/* the chosen ones */
	size_t			 channels;
	bool			 all;		/* nobody has chosen any */
};

/* One group each, or a part of it. */
void	metrics_states(struct walk *walk) ATTR_NONNULL;
void	metrics_times(struct walk *walk) ATTR_NONNULL;
void	metrics_ledger(struct walk *walk) ATTR_NONNULL;
void	metrics_outputs(struct walk *walk) ATTR_NONNULL;
void	metrics_streams(struct walk *walk) ATTR_NONNULL;
void	metrics_levels(struct walk *walk) ATTR_NONNULL;
void	metrics_processes(struct walk *walk) ATTR_NONNULL;

/* A member as text; NULL: there is none. */
static inline const char *
text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

#define LABEL_SIZE	24

/* The number of a decimator of the status, as those that are there are some of
 * all; a supervisor of an earlier version does not tell it. */
static inline void
decimator_label(const json_t *decimators, size_t index,
    char label[static LABEL_SIZE])
{
	const json_t *number = json_object_get(json_array_get(decimators,
	    index), "number");

	snprintf(label, LABEL_SIZE, "%" JSON_INTEGER_FORMAT,
	    json_is_integer(number) ? json_integer_value(number) :
	    (json_int_t)index);
}

/* A sample of a number or a truth of the status; none if it is not there. */
void	metrics_sample(struct walk *walk, const struct metric *metric,
	    const struct label *labels, const json_t *value,
	    uint64_t divisor);

#endif /* MCRELAY_METRICS_PRIV_H */
