/* SPDX-License-Identifier: ISC */
/*
 * Collects what is wrong with a configuration file while it is read, in
 * whatever order it is found.  Supervisor only.
 *
 * A problem that is found again at the same place (defaults are looked at
 * once for each channel) is kept once.  Memory is bounded: of more than
 * PROBLEMS_MAX errors it is only known that there are more, and of more than
 * that many warnings the rest is dropped.
 */
#ifndef MCRELAY_CONF_PROBLEM_H
#define MCRELAY_CONF_PROBLEM_H

#include "supervisor/conf/conf.h"

#define PROBLEMS_MAX	1000
/* So often may an error be found, repetitions included, before enough is
 * enough: ten mistakes in the defaults of a thousand channels. */
#define FOUND_MAX	10000

/* A place in the file, from 1; line 0: the file as a whole. */
struct place {
	unsigned	line;
	unsigned	column;		/* in characters */
};

struct problem {
	struct place	 place;
	size_t		 order;		/* of discovery */
	bool		 warning;
	char		*text;
};

struct problem_list {
	struct problem	*problem;
	size_t		 count;
	size_t		 errors;	/* of these, not warnings */
	size_t		 found;		/* errors, each time they are found */
	bool		 overflow;	/* there may be more errors */
};

void	problem_error(struct problem_list *list, struct place place,
	    const char *fmt, ...) ATTR_PRINTF(3, 4);
void	problem_warning(struct problem_list *list, struct place place,
	    const char *fmt, ...) ATTR_PRINTF(3, 4);

/* Whether there is no point in looking for more. */
bool	problem_enough(struct problem_list *list) ATTR_NONNULL;

/*
 * Moves the problems into the public form, sorted by place, with the file's
 * name before each.  The list is empty afterwards.
 */
void	problem_publish(struct problem_list *list, const char *file,
	    struct conf_problems *problems) ATTR_NONNULL;

#endif /* MCRELAY_CONF_PROBLEM_H */
