/* SPDX-License-Identifier: ISC */
/*
 * What the files of metrics.h share.
 */
#ifndef MCRELAY_METRICS_PRIV_H
#define MCRELAY_METRICS_PRIV_H

#include <inttypes.h>
#include <stdio.h>

#include "metrics/exposition.h"
#include "metrics/metrics.h"

/* A channel, and where in it the last sample was: looking all up anew takes
 * longer than the sample. */
struct chosen {
	const struct node	*node;
	const char		*name;
	const char		*section_name;
	const struct node	*section;	/* NULL: none */
	const struct node	*member;	/* of that */
};

/* A status on its way to text. */
struct walk {
	struct exposition	 out;
	const struct node	*status;
	struct chosen		*channel;	/* the chosen ones */
	size_t			 channels;
	bool			 all;		/* nobody has chosen any */
};

/* One group each, or a part of it. */
void	metrics_states(struct walk *walk) ATTR_NONNULL;
void	metrics_times(struct walk *walk) ATTR_NONNULL;
void	metrics_ledger(struct walk *walk) ATTR_NONNULL;
void	metrics_inputs(struct walk *walk) ATTR_NONNULL;
void	metrics_outputs(struct walk *walk) ATTR_NONNULL;
void	metrics_streams(struct walk *walk) ATTR_NONNULL;
void	metrics_levels(struct walk *walk) ATTR_NONNULL;
void	metrics_processes(struct walk *walk) ATTR_NONNULL;

/* A member as text; NULL: there is none. */
static inline const char *
text_member(const struct node *object, const char *name)
{
	return node_text(node_get(object, name));
}

/* A member of a channel, or of one of its members.  `section' is the same
 * pointer as before if it is the same one. */
static inline const struct node *
chosen_member(struct chosen *channel, const char *section, const char *name)
{
	if (channel->section == NULL || channel->section_name != section) {
		channel->section_name = section;
		channel->section = section == NULL ? channel->node :
		    node_get(channel->node, section);
		channel->member = NULL;
	}
	channel->member = node_get_next(channel->section, channel->member,
	    name);
	return channel->member;
}

#define LABEL_SIZE	24

/* The number of a decimator of the status, as those that are there are some of
 * all; a supervisor of an earlier version does not tell it: its place. */
static inline void
decimator_label(const struct node *decimator, int64_t place,
    char label[static LABEL_SIZE])
{
	const struct node *number = node_get(decimator, "number");

	snprintf(label, LABEL_SIZE, "%" PRId64, node_is_number(number) ?
	    node_number(number) : place);
}

/* A sample of a number or a truth of the status; none if it is not there. */
void	metrics_sample(struct walk *walk, const struct metric *metric,
	    const struct label *labels, const struct node *value,
	    uint64_t divisor);

#endif /* MCRELAY_METRICS_PRIV_H */
