/* SPDX-License-Identifier: ISC */
/*
 * What a program says of itself: -h, --help, -V, --version, and to whom uses it
 * wrongly.  Every program, also those that only mcrelayd starts.
 */
#ifndef MCRELAY_HELP_H
#define MCRELAY_HELP_H

#include "common/compiler.h"

/* An option or a command.  People's shells complete by what --help prints: the
 * name comes first there, and options of a command are in its arguments. */
struct help_line {
	const char	*name;		/* "-f", "status" */
	const char	*arguments;	/* "file", "[-j] [channel]"; "": none */
	const char	*meaning;
};

struct help {
	const char		*program;
	const char		*section;	/* of the manual page */
	const char		*synopsis;	/* after "usage: ", lines */
	const struct help_line	*lines;		/* the last has no name */
};

/* Prints what is asked for and exits, if any argument before "--" asks. */
void	help_answer(const struct help *help, int argc, char **argv)
	    ATTR_NONNULL;
/* The same of a program that mcrelayd starts, and nobody else. */
void	help_answer_child(const char *program, int argc, char **argv)
	    ATTR_NONNULL;
/* To standard error: how it is used, and where more is said. */
void	help_usage(const struct help *help) ATTR_NONNULL;

#endif /* MCRELAY_HELP_H */
