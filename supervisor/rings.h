/* SPDX-License-Identifier: ISC */
/*
 * How large the rings are that are to be as large as there is memory for.
 * Supervisor only.
 */
#ifndef MCRELAY_RINGS_H
#define MCRELAY_RINGS_H

#include "supervisor/conf/conf.h"

/*
 * Gives all channels with `ring_size: auto' rings of one size, as far as
 * `memory' goes; those that have such a ring in `before' (NULL: nothing is
 * there) keep it, so that a reload changes no channel because of another.
 * Reports it if there is too little for the smallest, or for rings whose sizes
 * are given.
 */
void	rings_fit(struct conf *conf, const struct conf *before,
	    struct conf_problems *problems);

#endif /* MCRELAY_RINGS_H */
