/* SPDX-License-Identifier: ISC */
/*
 * What a configuration needs of the machine, all channels together, beside
 * what there is.  Supervisor only.  Sizes are in bytes.
 */
#ifndef MCRELAY_NEEDS_H
#define MCRELAY_NEEDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

#define NEEDS_TEXT_SIZE		256

struct needs {
	uint64_t	memory;		/* of all segments and AF_XDP sockets,
					 * to be locked */
	uint64_t	ring;		/* the largest that is `auto'; 0: none
					 * is */
	uint64_t	descriptors;	/* of this process, at the same time,
					 * or of a worker that channels share,
					 * which has the same limit */
	uint64_t	threads;	/* of the user who has the most; 0: he
					 * has no limit */
};

/* UINT64_MAX: none, or not known. */
struct needs_limits {
	uint64_t	memory;
	uint64_t	locked;
	uint64_t	descriptors;
	uint64_t	threads;	/* of any one user */
};

enum needs_memory {
	NEEDS_MEMORY_TOTAL,	/* what the machine has */
	NEEDS_MEMORY_AVAILABLE,	/* what nobody uses now */
};

void	needs_of(struct needs *needs, const struct conf *conf) ATTR_NONNULL;
/* The descriptors that a reload opens while those of `before' are open. */
uint64_t	needs_beside(const struct conf *conf,
		    const struct conf *before) ATTR_NONNULL;
/* Of this process, when it has raised its limits as far as it may. */
void	needs_limits(struct needs_limits *limits, enum needs_memory memory)
	    ATTR_NONNULL;
/* For people: what is needed, and the limits. */
void	needs_text(const struct needs *needs,
	    const struct needs_limits *limits, char text[NEEDS_TEXT_SIZE])
	    ATTR_NONNULL;
/* Warns of what is too little, and says what to raise. */
void	needs_check(const struct needs *needs,
	    const struct needs_limits *limits,
	    struct conf_problems *problems) ATTR_NONNULL;

/*
 * All of that before `conf' comes into force: logs what is needed.  `before'
 * is the configuration whose memory is there already, or NULL.
 */
void	needs_report(const struct conf *conf, const struct conf *before,
	    struct conf_problems *problems);

#endif /* MCRELAY_NEEDS_H */
