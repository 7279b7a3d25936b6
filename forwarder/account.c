/* SPDX-License-Identifier: ISC */
/*
 * How near an account on the servers is to its limit.  mcrelay-forwarder.
 */
#include "forwarder/account.h"

static bool
is_near(int64_t limit, uint64_t used)
{
	return limit >= 0 && ((uint64_t)limit <= used ||
	    (uint64_t)limit - used < ACCOUNT_NEAR);
}

/* Where there are tiers they have the limits, and the account itself a 0. */
bool
account_is_near(jsCtx *js, jsOptions *options, bool *near)
{
	jsAccountInfo *info = NULL;
	int i;

	*near = true;
	if (js_GetAccountInfo(&info, js, options, NULL) != NATS_OK)
		return false;
	*near = info->TiersLen == 0 && is_near(info->Limits.MaxStore,
	    info->Store);
	for (i = 0; i < info->TiersLen; i++)
		*near = *near || is_near(info->Tiers[i]->Limits.MaxStore,
		    info->Tiers[i]->Store);
	jsAccountInfo_Destroy(info);
	return true;
}
