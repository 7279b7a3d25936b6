/* SPDX-License-Identifier: ISC */
/*
 * What a worker would try that has been taken over: each attempt alone, so
 * that each is refused for itself.  Tests only.
 */
#ifndef TEST_HOSTILE_H
#define TEST_HOSTILE_H

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>

/* What there is to be had. */
struct prey {
	char		place[64];	/* the directory around all files */
	char		secret[96];	/* a file outside */
	int		directory;	/* the archive's */
	pid_t		sibling;	/* another process of its user, unless
					 * each has its own */
	char		readable[64];	/* something in the sibling's memory */
	int		terminal;	/* or -1 */
	uint16_t	tcp_port;	/* somebody listens there, */
	char		abstract[64];	/* and on a socket of that name, */
	char		path[96];	/* and on one there */
};

/* Beside the parts of the sandbox: each process is a user of its own.  It
 * protects others, and their files, not itself. */
#define REFUSED_BY_USER	(1U << 16)

/* Needs nothing but `prey'.  Returns 0 if it got what it wanted, else the
 * errno of the refusal.  Does no lasting harm. */
struct attempt {
	const char	*what;
	int		(*try)(const struct prey *prey);
	uint32_t	 refused_by;	/* enum sandbox_part, REFUSED_BY_USER:
					 * any of them */
};

extern const struct attempt	attempts[];
extern const size_t		attempt_count;

#endif /* TEST_HOSTILE_H */
