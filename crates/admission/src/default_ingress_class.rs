//! An ingress that names no class gets the default one.

use apimachinery::Status;
use async_trait::async_trait;
use client::Informer;
use codec::Kind;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use registry::admit::{Attributes, Operation};
use resources::networking::ingress::CLASS_ANNOTATION;
use resources::prelude::*;

use crate::ask;
use crate::chain::{Context, Plugin};
use crate::storage::newest;

pub(crate) struct DefaultIngressClass {
    classes: Informer<IngressClass>,
}

impl DefaultIngressClass {
    pub(crate) fn new(context: &Context) -> Self {
        DefaultIngressClass { classes: Informer::all(&*context.transport) }
    }
}

#[async_trait]
impl Plugin for DefaultIngressClass {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<Ingress>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(ingress) = ask::object_mut::<Ingress>(a) else { return Ok(()) };
        let named = ingress.spec.as_ref().is_some_and(|s| s.ingress_class_name.is_some());
        if named || ingress.metadata.annotation(CLASS_ANNOTATION).is_some() {
            return Ok(());
        }
        if let Some(class) = newest(self.classes.list("").into_iter().filter(IngressClassExt::is_default)) {
            ingress.spec.get_or_insert_default().ingress_class_name = Some(class.name().to_owned());
        }
        Ok(())
    }
}
