import features from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import gossip from '@eventstore/db-client/generated/gossip_pb.js';
import type { ClusterInfo } from '@eventstore/db-client/generated/gossip_pb.js';

// What a node says of itself and of its cluster.

export const supportedMethods = (): SupportedMethods => {
  const supported = new features.SupportedMethods().setEventStoreServerVersion('23.10.6');
  for (const name of ['append', 'batchappend', 'read']) {
    const method = new features.SupportedMethod().setServiceName('event_store.client.streams.streams');
    supported.addMethods(method.setMethodName(name).setFeaturesList(name === 'read' ? ['position', 'events'] : []));
  }
  return supported;
};

/** A cluster of one, which leads. */
export const clusterOf = (address: string, port: number): ClusterInfo => {
  const leader = new gossip.MemberInfo()
    .setIsAlive(true)
    .setState(gossip.MemberInfo.VNodeState.LEADER)
    .setTimeStamp('0');
  leader.setHttpEndPoint(new gossip.EndPoint().setAddress(address).setPort(port));
  const cluster = new gossip.ClusterInfo();
  cluster.addMembers(leader);
  return cluster;
};
