// Every kind that deploy/k8s may have: what schemas.mjs makes JSON schemas of.
export type { IConfigMap, INamespace, IPersistentVolumeClaim, IService } from "kubernetes-models/v1";
export type { IDeployment, IStatefulSet } from "kubernetes-models/apps/v1";
export type { IHorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
export type { IJob } from "kubernetes-models/batch/v1";
export type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
export type { IPodDisruptionBudget } from "kubernetes-models/policy/v1";
export type { IScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1";
