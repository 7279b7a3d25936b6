/* SPDX-License-Identifier: ISC */
/*
 * Samplers: windows of raw datagrams that hold samples (common/samples.h)
 * become one datagram (two with minmax) of the same form.  Decimator only; does
 * no input or output.
 *
 * A window is `every' datagrams.  Their samples are joined end to end, and each
 * `every' frames of them become one: so what comes out has as many samples as
 * what goes in, `every' times as rarely.  When the datagrams are of different
 * lengths, fewer frames may be left at the end: they become one, too.  The
 * header is that of the window's last datagram.
 *
 *	pick	the last sample		minmax	minima, then maxima
 *	mean, rms, stddev, circular	fir	a low-pass (fir.h), then pick
 *
 * What is computed is as in reduce.h; fir rounds to nearest and keeps within
 * the type.  Its filter goes on from one window to the next.
 *
 * Bytes behind the last whole frame are left out.
 */
#ifndef MCRELAY_SAMPLER_H
#define MCRELAY_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/message.h"
#include "common/samples.h"

struct sampler;

/* Why such a sampler cannot be, or NULL.  `range' is 0 or that after which the
 * samples go round. */
const char	*sampler_fault(const struct sample_config *config,
		    uint32_t method, double range, uint64_t every)
		    ATTR_NONNULL;
struct sampler	*sampler_new(const struct sample_config *config,
		    enum decimate_method method, double range, uint64_t every)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;
void	sampler_free(struct sampler *sampler);

/* Takes a datagram; one without a whole frame is passed over.  True: the
 * window is full, emit. */
bool	sampler_push(struct sampler *sampler, const uint8_t *data, size_t size)
	    ATTR_NONNULL ATTR_UNUSED_RESULT;
unsigned	sampler_outputs(const struct sampler *sampler) ATTR_NONNULL;
/* The full window's datagram `i', which belongs to the sampler and stays until
 * the next push.  *size is 0 when it would be too large. */
const uint8_t	*sampler_output(const struct sampler *sampler, unsigned i,
		    size_t *size) ATTR_NONNULL;
/* Samples were lost: begins anew. */
void	sampler_reset(struct sampler *sampler) ATTR_NONNULL;

#endif /* MCRELAY_SAMPLER_H */
