/* SPDX-License-Identifier: ISC */
/*
 * What the files of metrics.h share.
 */
#ifndef MCRELAY_METRICS_PRIV_H
#define MCRELAY_METRICS_PRIV_H

#include "metrics/exposition.h"
#include "metrics/metrics.h"

/* A status on its way to text. */
struct walk {
	struct exposition	 out;
	const json_t		*status;
	const json_t		**channel;	/* the chosen ones */
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

/* A sample of a number or a truth of the status; none if it is not there. */
void	metrics_sample(struct walk *walk, const struct metric *metric,
	    const struct label *labels, const json_t *value,
	    uint64_t divisor);

#endif /* MCRELAY_METRICS_PRIV_H */
