//! What a route says about itself.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::failure::Failure;

/// Makes the schema of a type.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The [`Shape`] of `T`.
pub fn shape<T: JsonSchema>() -> Shape {
    |generator| generator.subschema_for::<T>()
}

/// A group of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub name: &'static str,
    pub about: &'static str,
}

/// What one method of one path does, takes and answers.
#[derive(Debug, Clone)]
pub struct Operation {
    /// In camel case; stays the same for ever.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    /// CommonMark; the page shows paragraphs and `code` only.
    pub(super) about: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) query: Option<Shape>,
    pub(super) bodies: Vec<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) failures: Vec<Failure>,
    pub(super) links: Vec<Link>,
}

/// A parameter in the path or a header.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: Shape,
}

/// One form of the request's body.
#[derive(Debug, Clone)]
pub struct Body {
    pub media: &'static str,
    pub shape: Shape,
    /// A name and a value each.
    pub examples: Vec<(&'static str, Value)>,
}

/// An answer that is no problem.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub about: &'static str,
    /// Without one there is no body.
    pub media: Option<&'static str>,
    pub shape: Shape,
    pub example: Option<Value>,
    /// Shapes that `shape` does not name, for example of the messages of a stream.
    pub messages: Vec<(&'static str, Shape)>,
}

/// Where an answer leads: what it names is a parameter of another operation.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) operation: &'static str,
    pub(super) parameter: &'static str,
    pub(super) from: &'static str,
}

impl Answer {
    /// JSON in the shape of `T`.
    pub fn json<T: JsonSchema>(status: u16, about: &'static str, example: Value) -> Self {
        Self { media: Some("application/json"), ..Self::of::<T>(status, about, Some(example)) }
    }

    /// A text of another media type.
    pub fn text(status: u16, media: &'static str, about: &'static str) -> Self {
        Self { media: Some(media), ..Self::of::<String>(status, about, None) }
    }

    /// Without a body.
    pub fn empty(status: u16, about: &'static str) -> Self {
        Self::of::<()>(status, about, None)
    }

    fn of<T: JsonSchema>(status: u16, about: &'static str, example: Option<Value>) -> Self {
        Self { status, about, media: None, shape: shape::<T>(), example, messages: Vec::new() }
    }
}

impl Operation {
    /// An operation that answers what [`Operation::answers`] adds.
    pub fn new(tag: Tag, id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            about: String::new(),
            parameters: Vec::new(),
            query: None,
            bodies: Vec::new(),
            answers: Vec::new(),
            failures: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Says more than the summary.
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// A part of the path.
    pub fn path<T: JsonSchema>(mut self, name: &'static str, about: &'static str) -> Self {
        self.parameters.push(Parameter { place: "path", name, about, shape: shape::<T>() });
        self.failures.push(Failure::NotFound);
        self
    }

    /// A header that is looked at.
    pub fn header<T: JsonSchema>(mut self, name: &'static str, about: &'static str) -> Self {
        self.parameters.push(Parameter { place: "header", name, about, shape: shape::<T>() });
        self
    }

    /// The parameters of the query: the fields of the type that the handler reads them into.
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(|generator| T::json_schema(generator));
        self
    }

    /// A form of the body.
    pub fn body(mut self, body: Body) -> Self {
        self.bodies.push(body);
        self
    }

    /// A body of JSON in the shape of `T`.
    pub fn takes<T: JsonSchema>(self, example: Value) -> Self {
        self.body(Body { media: "application/json", shape: shape::<T>(), examples: vec![("usual", example)] })
    }

    /// What is answered when all is well.
    pub fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// JSON in the shape of `T`, with 200.
    pub fn answers_json<T: JsonSchema>(self, about: &'static str, example: Value) -> Self {
        self.answers(Answer::json::<T>(200, about, example))
    }

    /// A way to refuse, beyond those that follow from permission, parameters and body.
    pub fn fails(mut self, failure: Failure) -> Self {
        self.failures.push(failure);
        self
    }

    /// `from` of the answer (a runtime expression) is `parameter` of `operation`.
    pub fn leads_to(
        mut self,
        name: &'static str,
        operation: &'static str,
        parameter: &'static str,
        from: &'static str,
    ) -> Self {
        self.links.push(Link { name, operation, parameter, from });
        self
    }
}
