//! The report as a row of blocks, from which both the page and the Markdown are written: they cannot say different things.
//!
//! Invariant: every text in here is plain. Whatever is special in HTML or in Markdown is made harmless where it is written.

use super::chart::Chart;
use super::judge::{Claim, Verdict};

/// A part of the report.
pub(crate) enum Block {
    /// The title of a section, with the name by which it is linked.
    Section { id: &'static str, title: &'static str },
    /// A title within a section.
    Heading(String),
    /// A paragraph.
    Paragraph(String),
    /// A sentence that must not be missed.
    Notice(String),
    /// Points of equal rank.
    List(Vec<String>),
    /// What the counters show, a sentence a design.
    Remarks(Vec<String>),
    /// What one types.
    Command(String),
    /// The verdict lines.
    Findings(Vec<(Verdict, String)>),
    /// A table.
    Table(Table),
    /// Charts that are read together. Their figures stand in tables too.
    Charts { title: String, note: String, charts: Vec<Chart> },
    /// A claim in full.
    Claim(Box<Claim>),
}

/// A table; its first column holds names.
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What is to be known of the figures, below the table.
    pub(crate) notes: Vec<String>,
}

/// A column.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) align: Align,
}

/// Where a cell stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

impl Column {
    pub(crate) fn words(name: impl Into<String>) -> Column {
        Column { name: name.into(), align: Align::Left }
    }

    pub(crate) fn numbers(name: impl Into<String>) -> Column {
        Column { name: name.into(), align: Align::Right }
    }
}

/// The whole report.
pub(crate) struct Document {
    pub(crate) title: String,
    /// One line below the title.
    pub(crate) subtitle: String,
    pub(crate) blocks: Vec<Block>,
}
